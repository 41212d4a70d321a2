// A chat page and an OpenAI-compatible API over one model, on this machine.
//
//   dotnet run -c Release --project samples/Server                                    the model of this repository, at http://localhost:5000
//   dotnet run -c Release --project samples/Server -- --model PATH                    a model of your own (a folder or a .gguf file)
//   dotnet run -c Release --project samples/Server -- --urls http://127.0.0.1:8080    at another address
//
// The page is what is in wwwroot. Other programs use http://localhost:5000/v1 as they would use OpenAI's API.
using System.Reflection;
using Vicuna.Managed;
using Vicuna.Managed.AspNetCore;

if (args is [not ['-', ..], ..])
{
    Console.Error.WriteLine($"Expected options like --model PATH, found '{args[0]}'.");
    return 1;
}

WebApplicationBuilder builder = WebApplication.CreateBuilder(new WebApplicationOptions
{
    Args = args,
    // The page lies beside the program, wherever that is started from.
    ContentRootPath = AppContext.BaseDirectory,
});

builder.Services.AddVicuna(options =>
{
    options.ModelPath = builder.Configuration["model"];
    if (options.ModelPath is null)
    {
        options.ModelId = "pico-vicuna";
        options.ModelFactory = _ => Task.FromResult(LanguageModel.LoadFiles(EmbeddedFiles.Read(Assembly.GetExecutingAssembly(), "pico-vicuna/")));
    }
});

WebApplication app = builder.Build();

// Nothing is loaded from elsewhere and no text becomes markup, whatever a model or its user writes.
app.Use((http, next) =>
{
    http.Response.Headers.ContentSecurityPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        + "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";
    http.Response.Headers.XContentTypeOptions = "nosniff";
    http.Response.Headers["Referrer-Policy"] = "no-referrer";
    return next(http);
});
app.UseFileServer();
app.MapVicuna();
app.Run();
return 0;
