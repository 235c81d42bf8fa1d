using Microsoft.AspNetCore.Components;
using Microsoft.Extensions.Options;
using Phoenix.Service.Security;

namespace Phoenix.Service.Ui.Layout;

/// <summary>The bar on top of every page.</summary>
public partial class MainLayout
{
    [CascadingParameter]
    private HttpContext Context { get; set; } = null!;

    [Inject]
    private NavigationManager Navigation { get; set; } = null!;

    [Inject]
    private IOptions<AuthOptions> Auth { get; set; } = null!;

    private Caller? Caller => Context.Features.Get<Caller>();

    // Somebody who has to sign in first.
    private bool IsStranger => Caller is null && Auth.Value.Enabled;

    // A bare #main would resolve against the document's base.
    private string Here => Navigation.ToBaseRelativePath(Navigation.Uri).Split('#')[0];
}
