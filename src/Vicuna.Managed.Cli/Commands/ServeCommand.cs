using System.CommandLine;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Vicuna.Managed.AspNetCore;
using Vicuna.Managed.Chat;

namespace Vicuna.Managed.Cli.Commands;

/// <summary>The OpenAI-compatible server.</summary>
internal static class ServeCommand
{
    private const int Terminated = 143;
    private const int MaxConnections = 4096;

    /// <summary>Makes the verb.</summary>
    public static Command Create()
    {
        Option<string?> template = new("--template") { Description = $"The conversation template: {string.Join(", ", PromptTemplates.Names)}. Default: the model's own." };
        template.AcceptOnlyFromAmong([.. PromptTemplates.Names]);
        Command command = new("serve", "Serves a model over HTTP, as OpenAI's API.") { template };
        ServeOptions serving = new(command);
        CommonOptions common = new(command, computes: true);
        command.SetAction(async (parsed, cancellationToken) =>
        {
            IPromptFormatter? formatter = parsed.GetValue(template) is { } name && PromptTemplates.TryGet(name, out IPromptFormatter? found) ? found : null;
            string? path = common.ModelPath(parsed);
            _ = common.Exact(parsed);
            IReadOnlyList<string> urls = serving.Urls(parsed);
            IReadOnlyList<string>? hosts = serving.Hosts(parsed);
            try
            {
                WebApplication app = Build(options =>
                {
                    serving.Apply(parsed, options, path is null ? "pico-vicuna" : NameOf(path));
                    // Loading works on its thread for long; it gets one of its own.
                    options.ModelFactory = stop => Task.Factory.StartNew(
                        () => common.LoadFrom(path, parsed, formatter, stop, serving.ContextLength(parsed)),
                        stop, TaskCreationOptions.LongRunning, TaskScheduler.Default);
                }, hosts);
                await using (app.ConfigureAwait(false))
                {
                    foreach (string url in urls)
                    {
                        app.Urls.Add(url);
                    }

                    await RunAsync(app, common.Json(parsed), cancellationToken).ConfigureAwait(false);
                }
            }
            catch (InvalidOperationException exception)
            {
                // The server's way to say that an option or an address is wrong.
                throw new WrongUsageException(exception.Message);
            }
        });
        return command;
    }

    // Nothing from files or variables of the place where it is started: what holds is on the command line.
    private static WebApplication Build(Action<VicunaServerOptions> configure, IReadOnlyList<string>? hosts)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxConcurrentConnections = MaxConnections;
        });
        builder.Logging.SetMinimumLevel(LogLevel.Information).AddFilter("Microsoft", LogLevel.Warning)
            // What goes wrong at the start is told by the verb, in one line.
            .AddFilter("Microsoft.Extensions.Hosting", LogLevel.None)
            .AddFilter("Vicuna.Managed.AspNetCore.Hosting", level => level != LogLevel.Error)
            .AddSimpleConsole(format =>
            {
                format.SingleLine = true;
                format.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ ";
                format.UseUtcTimestamp = true;
            });
        builder.Services.Configure<Microsoft.Extensions.Logging.Console.ConsoleLoggerOptions>(console => console.LogToStandardErrorThreshold = LogLevel.Trace);
        builder.Services.AddSingleton<IHostLifetime, SignalLifetime>();
        builder.Services.AddVicuna(configure);
        if (hosts is not null)
        {
            builder.Services.AddHostFiltering(filtering =>
            {
                filtering.AllowedHosts = [.. hosts];
                filtering.IncludeFailureMessage = false;
            });
        }

        WebApplication app = builder.Build();
        if (hosts is not null)
        {
            app.Use(ExplainHostAsync);
            app.UseHostFiltering();
        }

        app.MapVicuna();
        // Whoever leaves out the /v1 of the base address learns it from his client's message.
        app.MapFallback(NotFoundAsync);
        return app;
    }

    // The filter answers with a status alone; all of the server's own answers have begun when they come by here.
    private static async Task ExplainHostAsync(HttpContext http, RequestDelegate next)
    {
        await next(http).ConfigureAwait(false);
        if (http.Response is { HasStarted: false, ContentLength: null, StatusCode: StatusCodes.Status400BadRequest })
        {
            await WriteErrorAsync(
                http, StatusCodes.Status400BadRequest, "invalid_request_error", "wrong_host",
                "Host: expected localhost, 127.0.0.1, [::1] or a host of --urls, found another; with --api-key or --insecure every host is taken.").ConfigureAwait(false);
        }
    }

    private static Task NotFoundAsync(HttpContext http) => WriteErrorAsync(
        http, StatusCodes.Status404NotFound, "not_found_error", "unknown_url",
        "Nothing is here. The API is under /v1: see /v1/models; the server's state is at /health, its metrics at /metrics.");

    private static Task WriteErrorAsync(HttpContext http, int status, string type, string code, string message)
    {
        http.Response.StatusCode = status;
        http.Response.ContentType = "application/json; charset=utf-8";
        return http.Response.WriteAsync($$$"""{"error":{"message":"{{{message}}}","type":"{{{type}}}","param":null,"code":"{{{code}}}"}}""");
    }

    private static async Task RunAsync(WebApplication app, bool json, CancellationToken cancellationToken)
    {
        using CancellationTokenSource stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using PosixSignalRegistration termination = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
        {
            signal.Cancel = true;
            if (stop.IsCancellationRequested)
            {
                // The second one: whoever sends it does not want to wait.
                Environment.Exit(Terminated);
            }

            stop.Cancel();
        });
        try
        {
            await app.StartAsync(stop.Token).ConfigureAwait(false);
            VicunaServer server = app.Services.GetRequiredService<VicunaServer>();
            await server.WaitUntilReadyAsync(stop.Token).ConfigureAwait(false);
            if (json)
            {
                JsonOutput.Line(line =>
                {
                    line.WriteString("url", app.Urls.First());
                    line.WriteString("model", server.ModelId);
                });
            }
            else
            {
                Console.WriteLine($"{server.ModelId} is served at {string.Join(" and ", app.Urls)}");
            }

            await Task.Delay(Timeout.Infinite, stop.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (stop.IsCancellationRequested)
        {
            // Ending is what a server is asked for: no failure.
        }

        await app.StopAsync(CancellationToken.None).ConfigureAwait(false);
    }

    private static string NameOf(string path)
    {
        string name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath(path)));
        return name.EndsWith(".gguf", StringComparison.OrdinalIgnoreCase) ? Path.GetFileNameWithoutExtension(name) : name.Length > 0 ? name : "model";
    }
}
