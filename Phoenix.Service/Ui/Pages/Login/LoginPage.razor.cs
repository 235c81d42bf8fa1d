using Microsoft.AspNetCore.Components;
using Phoenix.Service.Security;

namespace Phoenix.Service.Ui.Pages.Login;

/// <summary>Asks who somebody is; one who is known already is led on.</summary>
public partial class LoginPage
{
    /// <summary>Path of the page that was asked for first.</summary>
    [SupplyParameterFromQuery(Name = "returnUrl")]
    public string? ReturnUrl { get; set; }

    /// <summary>What was wrong with the last attempt.</summary>
    [SupplyParameterFromQuery(Name = "problem")]
    public string? LastProblem { get; set; }

    private string? Message => LastProblem switch
    {
        "password" => "Unknown address or wrong password.",
        "locked" => "Too many wrong passwords for this account. Try again in a few minutes.",
        "busy" => "Too many attempts from your network address. Try again in a minute.",
        _ => null,
    };

    /// <inheritdoc/>
    protected override async Task LoadAsync(CancellationToken cancellationToken)
    {
        if (await IsKnownAsync(cancellationToken))
        {
            Context.Response.Redirect(Context.Request.PathBase + (SignIn.IsLocalPath(ReturnUrl) ? ReturnUrl : "/"));
        }
    }

    /// <summary>Also true where nobody is asked.</summary>
    private async Task<bool> IsKnownAsync(CancellationToken cancellationToken)
    {
        if (Context.RequestServices.GetService<TokenVerifier>() is not { } verifier)
        {
            return true;
        }

        return Context.Request.Cookies[SessionCookies.Access] is { Length: > 0 } token
            && (await verifier.VerifyCookieAsync(token, cancellationToken)).Caller is not null;
    }
}
