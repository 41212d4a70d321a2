namespace Vicuna.Managed.Constraints;

/// <summary>A place where a rule's text contains another's.</summary>
/// <param name="Rule">The other rule.</param>
/// <param name="Return">The state behind it.</param>
internal readonly record struct CallEdge(int Rule, int Return);
