using System.Text;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Ingest.Receive;

/// <summary>The header <c>x-project-name</c>, by which a sender names the project of a whole request.</summary>
internal static class ProjectHeader
{
    /// <summary>The project, cut like every name; null when the request names none.</summary>
    public static string? Read(HttpRequest request)
    {
        if (request.Headers["x-project-name"].ToString() is not { } name || string.IsNullOrWhiteSpace(name))
        {
            return null;
        }

        var utf8 = Encoding.UTF8.GetBytes(name);
        return utf8.Length <= AttributePolicy.MaxLabelBytes
            ? name
            : Encoding.UTF8.GetString(AttributePolicy.CutAndMark(utf8, AttributePolicy.MaxLabelBytes));
    }
}
