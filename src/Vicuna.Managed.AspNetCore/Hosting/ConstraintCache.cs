namespace Vicuna.Managed.AspNetCore.Hosting;

/// <summary>
/// Forms of answers that requests had lately. Clients send the same schema with every request, and what a form has learnt about the vocabulary is kept with
/// it. Safe for concurrent use.
/// </summary>
internal sealed class ConstraintCache
{
    private const int MaxEntries = 64;
    private const int MaxSchemaLength = 16 << 10;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<(string Schema, OutputConstraint Form)>> _bySchema = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Schema, OutputConstraint Form)> _byUse = [];

    /// <summary>Forms that are kept.</summary>
    public int Count
    {
        get
        {
            lock (_lock)
            {
                return _byUse.Count;
            }
        }
    }

    /// <summary>The form of a schema.</summary>
    /// <exception cref="ArgumentException">The schema is malformed or not supported.</exception>
    public OutputConstraint JsonSchema(string schema)
    {
        lock (_lock)
        {
            if (_bySchema.TryGetValue(schema, out LinkedListNode<(string Schema, OutputConstraint Form)>? known))
            {
                _byUse.Remove(known);
                _byUse.AddFirst(known);
                return known.Value.Form;
            }
        }

        // Not under the lock: a large schema takes a while. Who does the same meanwhile does it for himself.
        OutputConstraint form = OutputConstraint.JsonSchema(schema);
        lock (_lock)
        {
            if (schema.Length <= MaxSchemaLength && !_bySchema.ContainsKey(schema))
            {
                _bySchema.Add(schema, _byUse.AddFirst((schema, form)));
                if (_byUse.Count > MaxEntries)
                {
                    _bySchema.Remove(_byUse.Last!.Value.Schema);
                    _byUse.RemoveLast();
                }
            }
        }

        return form;
    }
}
