namespace Vicuna.Managed.Serving;

/// <summary>Requests that wait, by priority and then in the order of their coming. Guarded by the scheduler's lock.</summary>
internal sealed class RequestQueue
{
    private readonly LinkedList<ServedRequest>[] _lines = [new(), new(), new()];

    /// <summary>Requests in it.</summary>
    public int Count { get; private set; }

    /// <summary>The next one; null = none.</summary>
    public ServedRequest? First => (_lines[(int)RequestPriority.High].First ?? _lines[(int)RequestPriority.Normal].First ?? _lines[(int)RequestPriority.Low].First)?.Value;

    /// <summary>Puts a request at the end of its line.</summary>
    public void Add(ServedRequest request)
    {
        request.Place = _lines[(int)request.Priority].AddLast(request);
        Count++;
    }

    /// <summary>Takes a request out.</summary>
    public void Remove(ServedRequest request)
    {
        if (request.Place is { List: { } line } place)
        {
            line.Remove(place);
            request.Place = null;
            Count--;
        }
    }
}
