namespace Vicuna.Managed;

/// <summary>
/// Constraints of the schemas that requests had lately. Callers send the same schema with every request, and what a constraint has learnt about a vocabulary is
/// kept with it. Safe for concurrent use.
/// </summary>
public sealed class OutputConstraintCache
{
    private const int MaxEntries = 64;
    private const int MaxSchemaLength = 16 << 10;

    private readonly Lock _lock = new();
    private readonly Dictionary<string, LinkedListNode<(string Schema, OutputConstraint Constraint)>> _bySchema = new(StringComparer.Ordinal);
    private readonly LinkedList<(string Schema, OutputConstraint Constraint)> _byUse = [];

    /// <summary>Constraints that are kept, at most 64; schemas of more than 16 Ki characters are not.</summary>
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

    /// <summary>The constraint of a schema: the one that is kept, or <see cref="OutputConstraint.JsonSchema"/>.</summary>
    /// <param name="schema">The schema, as JSON text.</param>
    /// <returns>The constraint.</returns>
    /// <exception cref="ArgumentException">The text is no JSON, or the schema is not of the subset or too large; the message names the place.</exception>
    public OutputConstraint JsonSchema(string schema)
    {
        ArgumentNullException.ThrowIfNull(schema);
        lock (_lock)
        {
            if (_bySchema.TryGetValue(schema, out LinkedListNode<(string Schema, OutputConstraint Constraint)>? known))
            {
                _byUse.Remove(known);
                _byUse.AddFirst(known);
                return known.Value.Constraint;
            }
        }

        // Not under the lock: a large schema takes a while. Who does the same meanwhile does it for himself.
        OutputConstraint constraint = OutputConstraint.JsonSchema(schema);
        lock (_lock)
        {
            if (schema.Length <= MaxSchemaLength && !_bySchema.ContainsKey(schema))
            {
                _bySchema.Add(schema, _byUse.AddFirst((schema, constraint)));
                if (_byUse.Count > MaxEntries)
                {
                    _bySchema.Remove(_byUse.Last!.Value.Schema);
                    _byUse.RemoveLast();
                }
            }
        }

        return constraint;
    }
}
