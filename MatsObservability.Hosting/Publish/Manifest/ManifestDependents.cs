using System.Globalization;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Publishing;

namespace MatsObservability.Hosting.Publish.Manifest;

/// <summary>
/// Writes values as text with placeholders, and keeps what they refer to: resources outside the model, and encoded forms of parameters.
/// </summary>
internal sealed class ManifestDependents
{
    private readonly List<ParameterResource> _parameters = [];
    private readonly Dictionary<ParameterResource, List<string>> _encodings = [];
    private readonly HashSet<object> _seen = new(ReferenceEqualityComparer.Instance);

    public void Add(object? value)
    {
        if (value is null || !_seen.Add(value))
        {
            return;
        }

        if (value is ParameterResource parameter)
        {
            _parameters.Add(parameter);
        }

        if (value is IValueWithReferences composite)
        {
            foreach (var part in composite.References)
            {
                Add(part);
            }
        }
    }

    public string Expression(object? value, string? format = null) => value switch
    {
        null => "",
        string text => ReferenceExpression.ApplyFormat(text, format)!,
        ReferenceExpression expression => string.Format(
            CultureInfo.InvariantCulture,
            expression.Format,
            [.. expression.ValueProviders.Select((provider, i) => Expression(provider, expression.StringFormats[i] ?? format))]),
        ParameterResource parameter when !string.IsNullOrEmpty(format) => Encoded(parameter, format),
        IManifestExpressionProvider provider => provider.ValueExpression,
        _ => Convert.ToString(value, CultureInfo.InvariantCulture) ?? "",
    };

    /// <summary>
    /// Writes generated parameters in the order of first reference, each followed by its encoded forms; then the encoded forms of the
    /// model's own parameters.
    /// </summary>
    public void Write(ManifestPublishingContext context, IResourceCollection model)
    {
        var outside = _parameters.Where(parameter => !model.TryGetByName(parameter.Name, out _))
            .DistinctBy(parameter => parameter.Name).ToArray();
        foreach (var parameter in outside)
        {
            ManifestParameters.Write(context, parameter);
            WriteEncodings(context.Writer, parameter);
        }

        foreach (var parameter in _encodings.Keys.Except(outside))
        {
            WriteEncodings(context.Writer, parameter);
        }
    }

    private string Encoded(ParameterResource parameter, string format)
    {
        if (!_encodings.TryGetValue(parameter, out var formats))
        {
            _encodings[parameter] = formats = [];
        }

        if (!formats.Contains(format))
        {
            formats.Add(format);
        }

        return $"{{{EncodedName(parameter, format)}.value}}";
    }

    private void WriteEncodings(Utf8JsonWriter writer, ParameterResource parameter)
    {
        foreach (var format in _encodings.GetValueOrDefault(parameter) ?? [])
        {
            writer.WriteStartObject(EncodedName(parameter, format));
            writer.WriteString("type", "annotated.string");
            writer.WriteString("value", parameter.ValueExpression);
            writer.WriteString("filter", format);
            writer.WriteEndObject();
        }
    }

    private static string EncodedName(ParameterResource parameter, string format) => $"{parameter.Name}-{format}-encoded";
}
