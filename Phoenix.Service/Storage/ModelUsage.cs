namespace Phoenix.Service.Storage;

/// <summary>Tokens and cost (1e-12 USD) of calls of one model; cached and reasoning tokens are parts of the two.</summary>
internal readonly record struct ModelUsage(long PromptTokens, long CompletionTokens, long CostPicoUsd)
{
    public static ModelUsage operator +(ModelUsage left, ModelUsage right) =>
        new(
            HeldSum.Of(left.PromptTokens, right.PromptTokens), HeldSum.Of(left.CompletionTokens, right.CompletionTokens),
            HeldSum.Of(left.CostPicoUsd, right.CostPicoUsd));

    public static ModelUsage operator -(ModelUsage usage) => new(-usage.PromptTokens, -usage.CompletionTokens, -usage.CostPicoUsd);
}
