using System.Security.Cryptography;
using System.Text;
using Phoenix.Service.Security;

namespace Phoenix.Service.Ui;

/// <summary>
/// The style sheet (the base and every component's <c>X.razor.css</c>), the script and the icon, embedded in the assembly. Their addresses
/// carry a hash of the content, so browsers keep them for ever and still see every change.
/// </summary>
internal static class UiAssets
{
    private const string Prefix = "ui/";

    private static readonly Asset s_style = new("ui.css", "text/css; charset=utf-8", ReadStyles());
    private static readonly Asset s_script = new("ui.js", "text/javascript; charset=utf-8", Read(Prefix + "ui.js"));
    private static readonly Asset s_icon = new("icon.svg", "image/svg+xml", Read(Prefix + "icon.svg"));

    public static string StyleUrl => s_style.Url;

    public static string ScriptUrl => s_script.Url;

    public static string IconUrl => s_icon.Url;

    /// <summary>Serves the three files.</summary>
    public static void MapUiAssets(this IEndpointRouteBuilder routes)
    {
        foreach (var asset in new[] { s_style, s_script, s_icon })
        {
            routes.MapGet("/_ui/{hash}/" + asset.Name, (HttpContext context) =>
            {
                context.Response.Headers.CacheControl = "public, max-age=31536000, immutable";
                return TypedResults.Bytes(asset.Content, asset.ContentType);
            }).Needs(Access.Open);
        }
    }

    private static byte[] ReadStyles()
    {
        var names = typeof(UiAssets).Assembly.GetManifestResourceNames()
            .Where(name => name.StartsWith(Prefix, StringComparison.Ordinal) && name.EndsWith(".razor.css", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal);
        var text = new StringBuilder();
        foreach (var name in names.Prepend(Prefix + "base.css"))
        {
            text.Append(Encoding.UTF8.GetString(Read(name))).Append('\n');
        }

        return Encoding.UTF8.GetBytes(text.ToString());
    }

    private static byte[] Read(string name)
    {
        using var stream = typeof(UiAssets).Assembly.GetManifestResourceStream(name)
            ?? throw new InvalidOperationException($"The assembly lacks its resource {name}.");
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    }

    private sealed record Asset(string Name, string ContentType, byte[] Content)
    {
        public string Url { get; } = $"_ui/{Convert.ToHexStringLower(SHA256.HashData(Content))[..12]}/{Name}";
    }
}
