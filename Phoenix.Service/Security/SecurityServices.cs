using System.Net;
using System.Net.Sockets;
using System.Threading.RateLimiting;
using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.AspNetCore.RateLimiting;
using Microsoft.Extensions.Options;
using Phoenix.Service.Metrics;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>Registration of everything that asks who somebody is. Off, only pages of other origins are kept from changes.</summary>
internal static class SecurityServices
{
    /// <summary>Options, and, where they ask for it, authentication.</summary>
    public static void AddSecurity(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<AuthOptions>(AuthOptions.Section, AuthOptions.Check);
        if (!IsOn(builder.Configuration))
        {
            return;
        }

        services.AddSingleton<UserStore>();
        services.AddSingleton<TokenStore>();
        services.AddSingleton(static provider => new TokenFormat(provider.GetRequiredService<IOptions<AuthOptions>>().Value.ReadSecret()));
        services.AddSingleton<TokenVerifier>();
        services.AddSingleton<Passwords>();
        services.AddSingleton<LoginGuard>();
        services.AddSingleton<SignIn>();
        services.AddSingleton<SessionCookies>();
        services.AddSingleton<FirstUsers>();
        services.AddHostedService(static provider => provider.GetRequiredService<FirstUsers>());
        services.AddSingleton<SecurityMetrics>();
        services.AddSingleton<IMetricSource>(static provider => provider.GetRequiredService<SecurityMetrics>());

        // Every refused request would be a line of its own; they are counted instead.
        builder.Logging.AddFilter(typeof(TokenAuthentication).FullName, LogLevel.Warning);
        services.AddAuthentication()
            .AddScheme<AuthenticationSchemeOptions, TokenAuthentication>(TokenAuthentication.Scheme, configureOptions: null);
        services.AddSingleton<IAuthorizationHandler, AccessPolicy>();
        services.AddAuthorizationBuilder().SetFallbackPolicy(
            new AuthorizationPolicyBuilder(TokenAuthentication.Scheme).AddRequirements(new AccessPolicy.Requirement()).Build());
        services.AddRateLimiter(static limiter => limiter.OnRejected = static (context, _) => AuthEndpoints.RefuseAsync(
            context.HttpContext, context.Lease.TryGetMetadata(MetadataName.RetryAfter, out var retryAfter)
                ? retryAfter
                : TimeSpan.FromMinutes(1)));
        services.AddSingleton<IConfigureOptions<RateLimiterOptions>>(static provider => new ConfigureOptions<RateLimiterOptions>(
            limiter =>
                limiter.AddPolicy(AuthEndpoints.RateLimit,
                    PerAddress(provider.GetRequiredService<IOptions<AuthOptions>>().Value.RequestsPerMinute))));
    }

    /// <summary>Puts the question before every endpoint that is mapped; after routing.</summary>
    public static void UseSecurity(this WebApplication app)
    {
        if (IsOn(app.Configuration))
        {
            app.UseRateLimiter();
            app.UseAuthorization();
            return;
        }

        app.UseOriginCheck();
    }

    /// <summary>Users, keys and sessions. Off, the first two answer that there are none to manage, and the others do not exist.</summary>
    public static void MapSecurity(this WebApplication app)
    {
        if (IsOn(app.Configuration))
        {
            app.MapAuth();
            var group = app.MapGroup(string.Empty).AddEndpointFilter<DatabaseFaultFilter>();
            group.MapApiKeys();
            group.MapUsers();
            return;
        }

        app.MapGet("/v1/user", static () => ApiResults.Json(new UserEnvelope(UserData.Anonymous), AuthJsonContext.Default.UserEnvelope))
            .Needs(Access.Own);
        foreach (var path in (string[])["/v1/user/api_keys/{id?}", "/v1/users/{id?}", "/v1/system/api_keys/{id?}"])
        {
            app.Map(path,
                static () => ApiResults.Text(StatusCodes.Status403Forbidden, "Authentication is off: there are no users and no API keys"))
                .Needs(Access.Own);
        }
    }

    /// <summary>
    /// Whose requests are counted together: an IPv4 address, or the first 64 bits of an IPv6 address, because its owner chooses the others.
    /// </summary>
    internal static string Network(IPAddress? address) => address switch
    {
        null => "",
        { IsIPv4MappedToIPv6: true } => address.MapToIPv4().ToString(),
        { AddressFamily: AddressFamily.InterNetworkV6 } => Convert.ToHexString(address.GetAddressBytes(), 0, 8),
        _ => address.ToString(),
    };

    /// <summary>Asked while registering, when faults of the options are not told yet: they are told before anything is built.</summary>
    private static bool IsOn(IConfiguration configuration) =>
        ValidatedOptions.Peek<AuthOptions>(configuration, AuthOptions.Section).Enabled;

    private static Func<HttpContext, RateLimitPartition<string>> PerAddress(
        int perMinute) => context => RateLimitPartition.GetTokenBucketLimiter(
        Network(context.Connection.RemoteIpAddress), _ => new TokenBucketRateLimiterOptions
        {
            TokenLimit = perMinute,
            TokensPerPeriod = 1,
            ReplenishmentPeriod = TimeSpan.FromMinutes(1) / perMinute,
            AutoReplenishment = true,
        });
}
