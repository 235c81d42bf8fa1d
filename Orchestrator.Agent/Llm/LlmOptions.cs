using MatsObservability.ServiceDefaults;

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

    /// <summary>Name of the model; empty = OPENAI_MODEL, else gpt-4o-mini.</summary>
    public string Model { get; set; } = "";

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

    /// <summary>One sentence a broken rule; none holds the key.</summary>
    public static IEnumerable<string> Check(LlmOptions options)
    {
        var faults = new SettingFaults(Section);
        faults.Require(!options.ApiKey.Any(char.IsControl), nameof(ApiKey), "have no control characters");
        faults.HttpAddress(nameof(BaseUrl), options.BaseUrl);
        faults.Require(!string.IsNullOrWhiteSpace(options.Provider), nameof(Provider), "not be empty");
        faults.Require(!options.Fallbacks.Any(string.IsNullOrWhiteSpace), nameof(Fallbacks), "name a model in each entry");
        faults.Between(nameof(Attempts), options.Attempts, 1, 10);
        faults.Between(nameof(Timeout), options.Timeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1));
        faults.Between(nameof(RetryDelay), options.RetryDelay, TimeSpan.Zero, TimeSpan.FromMinutes(10));
        faults.Between(nameof(MaxCostUsd), options.MaxCostUsd, 0, MostUsd);
        faults.Between(nameof(MaxCalls), options.MaxCalls, 0, 100_000);
        faults.Between(nameof(PromptPricePerMillion), options.PromptPricePerMillion, 0, MostUsd);
        faults.Between(nameof(CompletionPricePerMillion), options.CompletionPricePerMillion, 0, MostUsd);
        faults.Between(nameof(MaxOutputTokens), options.MaxOutputTokens, 16, 10_000_000);
        faults.Between(nameof(MaxSteps), options.MaxSteps, 0, 50);
        return faults.Found;
    }

    private const decimal MostUsd = 1_000_000;
}
