using System.Globalization;

namespace Vicuna.Managed.Tests.Fuzz;

/// <summary>The command line of the project Vicuna.Managed.Fuzz.</summary>
public static class FuzzCommand
{
    private const string Usage = "Usage: [--inputs 1000000] [--seed 1] [--target NAME]";

    private static readonly TimeSpan Hang = TimeSpan.FromSeconds(30);

    /// <summary>Runs all targets, or one. The inputs are shared out evenly between them.</summary>
    /// <returns>Exit code: 0 = nothing found, 1 = a finding, 2 = the arguments are wrong.</returns>
    public static int Run(string[] args)
    {
        long inputs = 1_000_000;
        long seed = 1;
        IReadOnlyList<FuzzTarget> targets = FuzzTargets.All;
        for (int i = 0; i < args.Length; i += 2)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            bool known = args[i] switch
            {
                "--inputs" => long.TryParse(value, CultureInfo.InvariantCulture, out inputs) && inputs > 0,
                "--seed" => long.TryParse(value, CultureInfo.InvariantCulture, out seed),
                "--target" => (targets = [.. FuzzTargets.All.Where(target => target.Name.Equals(value, StringComparison.OrdinalIgnoreCase))]).Count > 0,
                _ => false,
            };
            if (!known)
            {
                Console.Error.WriteLine($"{args[i]} {value}: not understood. {Usage}");
                Console.Error.WriteLine($"Targets: {string.Join(", ", FuzzTargets.All.Select(target => target.Name))}");
                return 2;
            }
        }

        long total = 0;
        foreach (FuzzTarget target in targets)
        {
            try
            {
                total += RunTarget(target, seed, (inputs + targets.Count - 1) / targets.Count);
            }
            catch (FuzzFindingException finding)
            {
                Console.WriteLine($"FINDING {finding.Message}");
                return 1;
            }
        }

        Console.WriteLine($"{"all",-18} {total,12:n0} inputs, no finding");
        return 0;
    }

    private static long RunTarget(FuzzTarget target, long seed, long inputs)
    {
        FuzzEngine engine = new(target, seed);
        // An input that never ends cannot be stopped, only reported.
        using Timer watch = new(_ =>
        {
            if (engine.Current is { } current && current.Elapsed > Hang)
            {
                Console.WriteLine($"FINDING target {target.Name}, seed {seed}: still running after {current.Elapsed.TotalSeconds:f0} s");
                Console.WriteLine($"hex {Convert.ToHexString(current.Input)}");
                Environment.Exit(1);
            }
        });
        watch.Change(Hang, Hang);
        FuzzReport report = engine.Run(inputs);
        Console.WriteLine(
            $"{target.Name,-18} {report.Inputs,12:n0} inputs {report.Seconds,8:f1} s {report.Inputs / report.Seconds,10:n0}/s"
            + $"   slowest {report.SlowestMilliseconds,7:f1} ms   most memory {report.MostBytes / 1e6,6:f2} MB");
        return report.Inputs;
    }
}
