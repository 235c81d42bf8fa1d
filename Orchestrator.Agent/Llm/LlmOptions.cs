using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Llm;

/// <summary>The language model, if there is one; section <c>Llm</c>. Without a key the orchestrator works by rules.</summary>
internal sealed class LlmOptions
{
    public const string Section = "Llm";

    /// <summary>Key of the endpoint; empty = the setting OPENAI_API_KEY; neither = no model. Never logged, traced or shown.</summary>
    public string ApiKey { get; set; } = "";

    /// <summary>
    /// Base address of an OpenAI-compatible endpoint (OpenAI, Azure OpenAI, Gemini, Ollama); empty = OPENAI_BASE_URL, else OpenAI.
    /// </summary>
    public string BaseUrl { get; set; } = "";

    public string Model { get; set; } = "gpt-4o-mini";

    /// <summary>Who serves the model, for traces and prices.</summary>
    public string Provider { get; set; } = "openai";

    /// <summary>Models of the same endpoint to try in turn when <see cref="Model"/> fails.</summary>
    public IList<string> Fallbacks { get; } = [];

    /// <summary>Attempts per model; the pauses between them are 1, 2, 4 s unless the endpoint says otherwise.</summary>
    public int Attempts { get; set; } = 3;

    /// <summary>Longest wait for one answer.</summary>
    public TimeSpan Timeout { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>First pause between attempts; it doubles.</summary>
    public TimeSpan RetryDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>US dollars one investigation may spend on the model; the next call is refused.</summary>
    public decimal MaxCostUsd { get; set; } = 0.50m;

    /// <summary>Model calls of one investigation.</summary>
    public int MaxCalls { get; set; } = 20;

    /// <summary>US dollars per million prompt tokens of <see cref="Model"/>.</summary>
    public decimal PromptPricePerMillion { get; set; } = 0.15m;

    /// <summary>US dollars per million completion tokens of <see cref="Model"/>.</summary>
    public decimal CompletionPricePerMillion { get; set; } = 0.60m;

    /// <summary>Longest answer, in tokens.</summary>
    public int MaxOutputTokens { get; set; } = 1500;

    /// <summary>Thought and tool steps the SRE's model may take.</summary>
    public int MaxSteps { get; set; } = 10;

    /// <summary>Take answers as a stream of pieces.</summary>
    public bool Stream { get; set; } = true;
}

/// <summary>All faults of the model's settings at once, each naming its key.</summary>
internal sealed class ValidateLlmOptions : IValidateOptions<LlmOptions>
{
    public ValidateOptionsResult Validate(string? name, LlmOptions options)
    {
        var faults = new List<string>();
        Require(options.BaseUrl.Length == 0
            || (Uri.TryCreate(options.BaseUrl, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https"),
            nameof(options.BaseUrl), "be an http(s) address", options.BaseUrl);
        Require(!string.IsNullOrWhiteSpace(options.Model), nameof(options.Model), "not be empty", options.Model);
        Require(options.Attempts is >= 1 and <= 10, nameof(options.Attempts), "be 1 to 10", options.Attempts);
        Require(options.Timeout > TimeSpan.Zero, nameof(options.Timeout), "be above 0", options.Timeout);
        Require(options.RetryDelay >= TimeSpan.Zero, nameof(options.RetryDelay), "not be negative", options.RetryDelay);
        Require(options.MaxCostUsd >= 0, nameof(options.MaxCostUsd), "not be negative", options.MaxCostUsd);
        Require(options.MaxCalls >= 0, nameof(options.MaxCalls), "not be negative", options.MaxCalls);
        Require(options.MaxSteps is >= 0 and <= 50, nameof(options.MaxSteps), "be 0 to 50", options.MaxSteps);
        Require(options.MaxOutputTokens >= 16, nameof(options.MaxOutputTokens), "be at least 16", options.MaxOutputTokens);
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);

        void Require(bool holds, string key, string rule, object got)
        {
            if (!holds)
            {
                faults.Add($"{LlmOptions.Section}:{key} must {rule}, got '{got}'");
            }
        }
    }
}
