namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>
/// Forms of answers that requests had lately: the same schema comes with every request, and what a form has learnt about the vocabulary is kept with it. Safe
/// for concurrent use.
/// </summary>
internal sealed class FormCache
{
    private const int MaxEntries = 32;
    private const int MaxSchemaLength = 16 << 10;

    private readonly Lock _lock = new();

    // The latest last; few enough to be looked through.
    private readonly List<(string Schema, OutputConstraint Form)> _forms = [];

    /// <summary>The form of a schema.</summary>
    /// <exception cref="ArgumentException">The schema is malformed or not supported.</exception>
    public OutputConstraint JsonSchema(string schema)
    {
        lock (_lock)
        {
            int known = Find(schema);
            if (known >= 0)
            {
                (string Schema, OutputConstraint Form) entry = _forms[known];
                _forms.RemoveAt(known);
                _forms.Add(entry);
                return entry.Form;
            }
        }

        // Not under the lock: a large schema takes a while.
        OutputConstraint form = OutputConstraint.JsonSchema(schema);
        lock (_lock)
        {
            if (schema.Length <= MaxSchemaLength && Find(schema) < 0)
            {
                _forms.Add((schema, form));
                if (_forms.Count > MaxEntries)
                {
                    _forms.RemoveAt(0);
                }
            }
        }

        return form;
    }

    private int Find(string schema) => _forms.FindIndex(entry => entry.Schema == schema);
}
