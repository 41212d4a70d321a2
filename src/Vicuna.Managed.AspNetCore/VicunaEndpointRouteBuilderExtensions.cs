using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Vicuna.Managed.AspNetCore.Endpoints;

namespace Vicuna.Managed.AspNetCore;

/// <summary>Maps a server's endpoints.</summary>
public static class VicunaEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps the endpoints: <c>/v1/chat/completions</c>, <c>/v1/completions</c>, <c>/v1/embeddings</c>, <c>/v1/models</c>, <c>/health</c>,
    /// <c>/health/live</c>, <c>/health/ready</c> and <c>/metrics</c>. All other paths under <c>/v1</c> are answered with an error in OpenAI's form; paths
    /// outside are not touched.
    /// </summary>
    /// <param name="endpoints">The application, or a group of its routes.</param>
    /// <returns>All of the endpoints, for policies.</returns>
    /// <exception cref="InvalidOperationException">The services lack the server: call <c>AddVicuna</c> first.</exception>
    public static IEndpointConventionBuilder MapVicuna(this IEndpointRouteBuilder endpoints)
    {
        ArgumentNullException.ThrowIfNull(endpoints);
        Gate gate = endpoints.ServiceProvider.GetService<Gate>()
            ?? throw new InvalidOperationException($"{nameof(MapVicuna)}: expected services.{nameof(VicunaServiceCollectionExtensions.AddVicuna)}(...) before it.");
        RouteGroupBuilder group = endpoints.MapGroup(string.Empty);
        foreach (ServerRoute route in Routes.All)
        {
            group.Map(route.Pattern, gate.Handle(route));
        }

        return group;
    }
}
