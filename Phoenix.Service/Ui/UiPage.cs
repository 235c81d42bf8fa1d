using Microsoft.AspNetCore.Components;

namespace Phoenix.Service.Ui;

/// <summary>What a page says instead of its content.</summary>
public sealed record PageProblem(int StatusCode, string Title, string Text);

/// <summary>
/// Base of the pages: reads once, on the server, before anything is sent, so that status codes are true. A database that does not answer
/// becomes a 503 page, never an empty one.
/// </summary>
public abstract class UiPage : ComponentBase
{
    /// <summary>The request; pages are rendered within one.</summary>
    [CascadingParameter]
    public HttpContext Context { get; set; } = null!;

    /// <summary>Set when there is nothing to show.</summary>
    protected PageProblem? Problem { get; set; }

    /// <inheritdoc/>
    public sealed override async Task SetParametersAsync(ParameterView parameters)
    {
        // Reading comes before the base class, which would render an unfinished page while it waits.
        parameters.SetParameterProperties(this);
        try
        {
            await LoadAsync(Context.RequestAborted);
        }
        catch (Exception failure) when (PageReader.IsNoText(failure))
        {
            Problem = new PageProblem(
                StatusCodes.Status400BadRequest, "Not a text", "A value of the address holds a character that text cannot have, such as NUL.");
        }
        catch (Exception failure) when (PageReader.IsDatabaseFault(failure))
        {
            Problem = new PageProblem(
                StatusCodes.Status503ServiceUnavailable, "The database did not answer",
                "Telemetry cannot be read at the moment. Reload the page to try again.");
        }

        if (Problem is not null)
        {
            // Not at once: the renderer leaves the body of a 404 to others.
            var statusCode = Problem.StatusCode;
            Context.Response.OnStarting(() =>
            {
                Context.Response.StatusCode = statusCode;
                return Task.CompletedTask;
            });
        }

        await base.SetParametersAsync(ParameterView.Empty);
    }

    /// <summary>Reads what the page shows, or sets <see cref="Problem"/>.</summary>
    protected abstract Task LoadAsync(CancellationToken cancellationToken);
}
