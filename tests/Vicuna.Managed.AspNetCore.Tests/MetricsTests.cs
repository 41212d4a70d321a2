using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text.RegularExpressions;
using Vicuna.Managed.AspNetCore.Tests.Support;

namespace Vicuna.Managed.AspNetCore.Tests;

/// <summary>The metrics: their format, and that they count.</summary>
public sealed partial class MetricsTests
{
    private const string Hostile = "a \"quoted\\name\"\nof two lines";

    [Fact]
    public async Task Metrics_KeepPrometheusFormat()
    {
        await using TestServer server = await TestServer.StartAsync(options => options.ModelId = Hostile);
        await server.JsonAsync("/v1/chat/completions", TestServer.Chat());
        await server.EventsAsync("/v1/completions", "{\"prompt\":\"a\",\"max_tokens\":4,\"stream\":true}");
        await server.JsonAsync("/v1/embeddings", "{\"input\":\"a\"}");
        await server.ErrorAsync("/v1/chat/completions", "{}");
        using HttpResponseMessage response = await server.Http.GetAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", response.Content.Headers.ContentType?.ToString());
        string text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        Assert.DoesNotContain('\r', text);

        string family = string.Empty;
        string type = string.Empty;
        HashSet<string> families = [];
        HashSet<string> samples = [];
        foreach (string line in text.TrimEnd('\n').Split('\n'))
        {
            string[] words = line.Split(' ', 4);
            if (words[0] == "#" && words[1] == "HELP")
            {
                family = words[2];
                Assert.True(families.Add(family), $"{family} is told twice.");
                Assert.NotEqual(string.Empty, words[3]);
                type = string.Empty;
            }
            else if (words[0] == "#")
            {
                Assert.Equal(("TYPE", family), (words[1], words[2]));
                type = words[3];
                Assert.Contains(type, new[] { "counter", "gauge", "histogram" });
                Assert.Equal(type == "counter", family.EndsWith("_total", StringComparison.Ordinal));
            }
            else
            {
                Match sample = Sample().Match(line);
                Assert.True(sample.Success, line);
                string name = sample.Groups["name"].Value;
                Assert.Equal(family, type == "histogram" ? HistogramPart().Replace(name, string.Empty) : name);
                Assert.True(samples.Add(name + sample.Groups["labels"].Value), $"{line} comes twice.");
                Assert.True(double.TryParse(sample.Groups["value"].Value, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && value >= 0, line);
            }
        }

        Assert.Contains("gen_ai_server_request_duration_seconds", families);
        Assert.Contains("gen_ai_server_time_to_first_token_seconds", families);
        Assert.Contains("gen_ai_server_time_per_output_token_seconds", families);
        Assert.Contains("""model="a \"quoted\\name\"\nof two lines",""", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Histograms_OnlyRiseAndEndWithTheCount()
    {
        await using TestServer server = await TestServer.StartAsync();
        for (int i = 0; i < 3; i++)
        {
            await server.JsonAsync("/v1/chat/completions", TestServer.Chat());
        }

        await server.JsonAsync("/v1/embeddings", "{\"input\":\"a\"}");
        await server.ErrorAsync("/v1/chat/completions", "{}");
        string text = await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        foreach (string name in new[] { "request_duration", "time_to_first_token", "time_per_output_token" })
        {
            string full = $"gen_ai_server_{name}_seconds";
            foreach (IGrouping<string, Match> series in Bucket().Matches(text).Where(match => match.Groups["name"].Value == full).GroupBy(match => match.Groups["labels"].Value))
            {
                long[] counts = [.. series.Select(match => long.Parse(match.Groups["count"].Value, CultureInfo.InvariantCulture))];
                double[] bounds = [.. series.Select(match => match.Groups["bound"].Value is "+Inf" ? double.PositiveInfinity : double.Parse(match.Groups["bound"].Value, CultureInfo.InvariantCulture))];
                Assert.Equal(counts.Order(), counts);
                Assert.Equal(bounds.Order(), bounds);
                Assert.Equal(double.PositiveInfinity, bounds[^1]);
                Assert.Contains($"{full}_count{{{series.Key}}} {counts[^1]}\n", text, StringComparison.Ordinal);
                Assert.True(counts[^1] > 0);
            }
        }

        const string Chat = "gen_ai_operation_name=\"chat\",gen_ai_provider_name=\"vicuna.managed\",gen_ai_request_model=\"pico-vicuna\"";
        Assert.Contains($"gen_ai_server_request_duration_seconds_count{{{Chat}}} 3\n", text, StringComparison.Ordinal);
        Assert.Contains($"gen_ai_server_request_duration_seconds_count{{{Chat},error_type=\"missing_required_parameter\"}} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("operation_name=\"embeddings\"", text, StringComparison.Ordinal);
        Assert.Contains("vicuna_requests_total{route=\"/v1/chat/completions\",code=\"200\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("vicuna_requests_total{route=\"/v1/chat/completions\",code=\"400\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("\nvicuna_accepted_total 4\n", text, StringComparison.Ordinal);
        Assert.Matches("\nvicuna_model_load_seconds [0-9.E-]+\n", text);
        Assert.Matches("\nvicuna_generated_tokens_total [1-9]", text);
        Assert.Matches("\nvicuna_kv_capacity_bytes [1-9]", text);
        Assert.Matches("\nvicuna_process_gc_heap_bytes [1-9]", text);
        Assert.Matches("\nvicuna_process_working_set_bytes [1-9]", text);
    }

    [Fact]
    public async Task Meters_OfTheEngine_AreTheApplications()
    {
        await using TestServer server = await TestServer.StartAsync();
        IMeterFactory factory = server.Service<IMeterFactory>();
        Assert.Same(factory, server.Server.Engine!.Options.MeterFactory);
    }

    [Fact]
    public async Task Metrics_OfManyPaths_DoNotGrowWithThem()
    {
        await using TestServer server = await TestServer.StartAsync();
        for (int i = 0; i < 50; i++)
        {
            using HttpResponseMessage response = await server.Http.GetAsync($"/v1/{Guid.NewGuid()}", TestContext.Current.CancellationToken);
        }

        string text = await server.Http.GetStringAsync("/metrics", TestContext.Current.CancellationToken);
        Assert.Contains("vicuna_requests_total{route=\"/v1/{**path}\",code=\"404\"} 50\n", text, StringComparison.Ordinal);
    }

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?<labels>\{[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*"(?:,[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*")*\})? (?<value>\S+)$""")]
    private static partial Regex Sample();

    [GeneratedRegex("_(bucket|sum|count)$")]
    private static partial Regex HistogramPart();

    [GeneratedRegex("""(?<name>\w+)_bucket\{(?<labels>[^}]*),le="(?<bound>[^"]+)"\} (?<count>\d+)""")]
    private static partial Regex Bucket();
}
