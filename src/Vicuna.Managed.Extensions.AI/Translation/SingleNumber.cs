namespace Vicuna.Managed.Extensions.AI.Translation;

/// <summary>Numbers in single precision as their writer meant them.</summary>
internal static class SingleNumber
{
    private const float MostDigits = 1e6f;

    /// <summary>
    /// The number that is written like this one: 0.7f is meant as 0.7, not as 0.699999988, so that an answer is the one that the engine gives for 0.7.
    /// </summary>
    public static double Exact(float value) => Math.Abs(value) < MostDigits ? (double)(decimal)value : value;
}
