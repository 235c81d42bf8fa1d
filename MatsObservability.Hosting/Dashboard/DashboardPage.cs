using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;

namespace MatsObservability.Hosting.Dashboard;

/// <summary>The HTML of the resource page; the script only exchanges fragments of it.</summary>
internal static class DashboardPage
{
    public static string Render(string title, IReadOnlyList<ResourceView> resources) => $"""
        <!doctype html>
        <html lang="en">
        <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <title>{Text(title)} · resources</title>
        <link rel="icon" href="data:,">
        <link rel="stylesheet" href="/dashboard.css">
        <script src="/dashboard.js" defer></script>
        </head>
        <body>
        <header>
        <h1>{Text(title)}</h1>
        <span id="summary" aria-live="polite">{Summary(resources)}</span>
        <span class="grow"></span>
        <span id="connection" class="quiet" hidden>connection lost, trying again…</span>
        <button id="theme" type="button" title="Light or dark">◐</button>
        </header>
        <main>
        <section id="resources" aria-label="Resources">
        <table>
        <thead><tr><th>Name</th><th>Type</th><th>State</th><th>Endpoints</th><th>Started</th><th><span class="hidden">Commands</span></th></tr></thead>
        <tbody id="rows">{Rows(resources)}</tbody>
        </table>
        </section>
        <section id="panel" aria-label="Selected resource" hidden>
        <div class="bar">
        <h2 id="selected"></h2>
        <nav role="tablist">
        <button type="button" role="tab" data-tab="logs" aria-selected="true">Logs</button>
        <button type="button" role="tab" data-tab="details" aria-selected="false">Details</button>
        </nav>
        <span class="grow"></span>
        <input id="filter" type="search" placeholder="Filter lines" aria-label="Filter lines">
        <label><input id="follow" type="checkbox" checked> follow</label>
        <button id="close" type="button" title="Close">✕</button>
        </div>
        <pre id="logs" tabindex="0"></pre>
        <div id="details" hidden></div>
        </section>
        </main>
        </body>
        </html>
        """;

    /// <summary>The rows of the table.</summary>
    public static string Rows(IReadOnlyList<ResourceView> resources)
    {
        var html = new StringBuilder();
        foreach (var view in resources)
        {
            var mark = Mark(view);
            html.Append(
                CultureInfo.InvariantCulture, $"<tr data-id=\"{Text(view.Id)}\" data-name=\"{Text(view.Name)}\" data-mark=\"{mark}\" tabindex=\"0\">")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"name{(view.Parent is null ? "" : " child")}\">{Text(view.Name)}{Instance(view)}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td class=\"quiet\">{Text(view.Type)}</td>")
                .Append(CultureInfo.InvariantCulture, $"<td><span class=\"state {mark}\"{Reason(view)}>{Text(StateText(view))}</span></td><td>");
            foreach (var url in view.Urls)
            {
                var label = Text(url.Url.Replace("http://", "", StringComparison.Ordinal));
                html.Append(IsLink(url)
                    ? $"<a href=\"{Text(url.Url)}\" target=\"_blank\" rel=\"noreferrer\" title=\"{Text(url.Name ?? "")}\">{label}</a> "
                    : $"<span class=\"quiet\" title=\"{Text(url.Name ?? "")}\">{label}</span> ");
            }

            html.Append(CultureInfo.InvariantCulture, $"</td><td class=\"quiet\">{Time(view.StartedAt)}</td><td class=\"commands\">");
            foreach (var command in view.Commands)
            {
                html.Append(
                    CultureInfo.InvariantCulture, $"<button type=\"button\" data-command=\"{Text(command.Name)}\" title=\"{Text(command.DisplayName)} {Text(view.Name)}\"{(command.IsEnabled ? "" : " disabled")}>{Text(command.DisplayName)}</button>");
            }

            html.Append("</td></tr>");
        }

        return html.ToString();
    }

    /// <summary>What is known of one resource beside its log.</summary>
    public static string Details(ResourceView view)
    {
        var html = new StringBuilder();
        Section("Health",
            view.HealthReports.Select(
                report =>
                    (report.Name,
                        (string?)$"{report.Status ?? "not checked yet"}{(report.Description is null ? "" : $": {report.Description}")}")));
        Section("Endpoints", view.Urls.Select(url => (url.Name ?? "url", (string?)url.Url)));
        Section("Environment", view.Environment.Select(variable => (variable.Name, variable.Value)));
        Section("Properties", view.Properties.Select(property => (property.Name, property.Value)));
        Section("Relations", view.Relationships.Select(relationship => (relationship.Type, (string?)relationship.Resource)));
        return html.Length == 0 ? "<p class=\"quiet\">Nothing more is known of this resource.</p>" : html.ToString();

        void Section(string title, IEnumerable<(string Name, string? Value)> entries)
        {
            var list = entries.ToArray();
            if (list.Length == 0)
            {
                return;
            }

            html.Append(CultureInfo.InvariantCulture, $"<h3>{Text(title)}</h3><dl>");
            foreach (var (name, value) in list)
            {
                html.Append(CultureInfo.InvariantCulture, $"<dt>{Text(name)}</dt><dd>{Text(value ?? "")}</dd>");
            }

            html.Append("</dl>");
        }
    }

    /// <summary>What has finished, or is not meant to run yet, is not asked for its health.</summary>
    private static string Summary(IReadOnlyList<ResourceView> resources) => string.Create(
        CultureInfo.InvariantCulture,
        $"{resources.Count(static view => Mark(view) == "good")} of {resources.Count(static view => Mark(view) != "idle")} healthy");

    /// <summary>Four classes of states for the colours: good, busy, bad, idle.</summary>
    private static string Mark(ResourceView view) => view.State switch
    {
        "Running" => view.Health == "Healthy" ? "good" : "busy",
        "FailedToStart" or "RuntimeUnhealthy" or "ValueMissing" or "Restarting" => "bad",
        "Finished" or "Exited" => view.ExitCode is null or 0 ? "idle" : "bad",
        "NotStarted" => "idle",
        _ => "busy",
    };

    private static string StateText(ResourceView view) => view.State switch
    {
        "Running" when view.Health is not null and not "Healthy" => "Running (not healthy)",
        "Finished" or "Exited"
            or "Restarting" when view.ExitCode is { } code => string.Create(CultureInfo.InvariantCulture, $"{view.State} ({code})"),
        _ => view.State,
    };

    private static string Reason(ResourceView view)
    {
        var reason = view.HealthReports.FirstOrDefault(report => report.Status != "Healthy")?.Description;
        return reason is null ? "" : $" title=\"{Text(reason)}\"";
    }

    private static string Instance(ResourceView view) =>
        view.Id.Length > view.Name.Length ? $"<span class=\"instance\">{Text(view.Id[(view.Name.Length + 1)..])}</span>" : "";

    private static string Time(DateTime? time) =>
        time is { } value ? string.Create(CultureInfo.InvariantCulture, $"<time datetime=\"{value:O}\">{value:HH:mm:ss}</time>") : "";

    private static bool IsLink(UrlView url) => url.IsActive
        && (url.Url.StartsWith("http://", StringComparison.Ordinal) || url.Url.StartsWith("https://", StringComparison.Ordinal));

    private static string Text(string text) => HtmlEncoder.Default.Encode(text);
}
