using Vicuna.Managed.AspNetCore;

// The packages as a web application has them. The path of the model is its first argument.
WebApplicationBuilder builder = WebApplication.CreateBuilder(args[1..]);
builder.Services.AddVicuna(args[0]);
WebApplication app = builder.Build();
app.MapVicuna();
app.Run();
