using Phoenix.Service.Listening;

namespace Phoenix.Service.Security;

/// <summary>What a request needs.</summary>
internal enum Access
{
    /// <summary>Nothing: probes, versions, the login.</summary>
    Open,

    /// <summary>Anybody known.</summary>
    Read,

    /// <summary>As <see cref="Read"/>; a browser that is not signed in is led to the login.</summary>
    Page,

    /// <summary>As <see cref="Read"/>, though it changes something: what changes is the caller's own.</summary>
    Own,

    /// <summary>As <see cref="Read"/> where <see cref="AuthOptions.ProtectMetrics"/> says so, else nothing.</summary>
    Metrics,

    /// <summary>Not a viewer.</summary>
    Write,

    /// <summary>An admin.</summary>
    Admin,
}

/// <summary>Puts <see cref="Access"/> on endpoints and reads it back.</summary>
internal static class AccessRules
{
    /// <summary>Says what the endpoints need; of several the last one counts, so an endpoint can depart from its group.</summary>
    public static TBuilder Needs<TBuilder>(this TBuilder builder, Access access)
        where TBuilder : IEndpointConventionBuilder
    {
        builder.Add(endpoint => endpoint.Needs(access));
        return builder;
    }

    /// <summary>Says what one endpoint needs.</summary>
    public static void Needs(this EndpointBuilder endpoint, Access access) => endpoint.Metadata.Add(new AccessMetadata(access));

    /// <summary>As the REST API does it: GET reads, everything else writes.</summary>
    public static TBuilder NeedsByMethod<TBuilder>(this TBuilder builder)
        where TBuilder : IEndpointConventionBuilder
    {
        builder.Add(static endpoint => endpoint.Needs(
            endpoint.Metadata.OfType<HttpMethodMetadata>().Any(static methods => methods.HttpMethods.All(HttpMethods.IsGet))
                ? Access.Read
                : Access.Write));
        return builder;
    }

    /// <summary>What the endpoint was said to need; null when nothing was said.</summary>
    public static Access? Of(Endpoint endpoint) => endpoint.Metadata.GetMetadata<AccessMetadata>()?.Access;

    /// <summary>
    /// What a request needs: all of OTLP/gRPC writes; an unknown path, or a method it does not have, which routing refuses by an endpoint
    /// without a route, reads; and an endpoint that says nothing is for admins.
    /// </summary>
    public static Access Of(HttpContext context) =>
        context.Listener() == Listeners.Grpc ? Access.Write
        : context.GetEndpoint() is RouteEndpoint endpoint ? Of(endpoint) ?? Access.Admin
        : Access.Read;

    /// <summary>Whether a caller with <paramref name="role"/> has <paramref name="access"/>.</summary>
    public static bool Allows(Access access, Role role) => access switch
    {
        Access.Write => role != Role.Viewer,
        Access.Admin => role == Role.Admin,
        _ => true,
    };

    private sealed record AccessMetadata(Access Access);
}
