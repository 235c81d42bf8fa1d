using System.Collections;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace MatsObservability.ServiceDefaults;

/// <summary>
/// Fills options from configuration and collects what cannot be read, where the framework's binder stops at the first such value. Numbers
/// may be sizes, durations carry units (<see cref="Quantities"/>), lists of texts may be one text with commas; an empty value counts as not
/// given.
/// </summary>
internal static class SettingBinder
{
    /// <summary>
    /// Sets the properties that <paramref name="section"/> names: texts, numbers, durations, switches, enums, lists of texts or of objects,
    /// texts by name. One sentence a value that cannot be read, which leaves its property as it was.
    /// </summary>
    public static List<string> Bind(object options, IConfigurationSection section)
    {
        var faults = new List<string>();
        foreach (var property in options.GetType().GetProperties(BindingFlags.Public | BindingFlags.Instance))
        {
            var child = section.GetSection(property.Name);
            if (property.PropertyType == typeof(string[]))
            {
                property.SetValue(options, Texts(child) ?? property.GetValue(options));
            }
            else if (property.GetValue(options) is IDictionary<string, string> entries)
            {
                foreach (var entry in child.GetChildren())
                {
                    entries[entry.Key] = entry.Value ?? "";
                }
            }
            else if (property.GetValue(options) is IList<string> texts)
            {
                Texts(child)?.ToList().ForEach(texts.Add);
            }
            else if (property.GetValue(options) is IList items)
            {
                BindItems(items, child, faults);
            }
            else if (property.CanWrite && child.Value is { } text && !string.IsNullOrWhiteSpace(text))
            {
                if (TryParse(text.Trim(), property.PropertyType, out var value, out var expected))
                {
                    property.SetValue(options, value);
                }
                else
                {
                    faults.Add($"{child.Path} must be {expected}, got '{text}'");
                }
            }
        }

        return faults;
    }

    private static void BindItems(IList items, IConfigurationSection list, List<string> faults)
    {
        var type = items.GetType().GetGenericArguments()[0];
        if (!string.IsNullOrWhiteSpace(list.Value))
        {
            // The text stays out of the message: it may hold the secret of an item.
            faults.Add($"{list.Path} must be a list, given as {list.Path}:0:{type.GetProperties()[0].Name} and so on");
        }

        foreach (var child in list.GetChildren())
        {
            var item = Activator.CreateInstance(type)!;
            faults.AddRange(Bind(item, child));
            items.Add(item);
        }
    }

    /// <summary>The texts of a list; null when it is not given.</summary>
    private static string[]? Texts(IConfigurationSection list)
    {
        var items = list.GetChildren().Select(static item => item.Value).OfType<string>().ToArray();
        return items.Length > 0
            ? items
            : list.Value?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
    }

    private static bool TryParse(string text, Type type, out object? value, out string expected)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        value = null;
        if (type == typeof(string))
        {
            value = text;
            expected = "text";
        }
        else if (type == typeof(bool))
        {
            expected = "true or false";
            value = text.ToLowerInvariant() switch
            {
                "true" or "1" or "yes" or "on" => true,
                "false" or "0" or "no" or "off" => false,
                _ => null,
            };
        }
        else if (type == typeof(TimeSpan))
        {
            expected = "a duration such as 500ms, 30s, 5m or 00:00:30";
            value = Quantities.TryParseDuration(text, out var duration) ? duration : null;
        }
        else if (type.IsEnum)
        {
            expected = $"one of {string.Join(", ", Enum.GetNames(type)).ToLowerInvariant()}";
            value = Array.Find(Enum.GetNames(type), name => name.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } known
                ? Enum.Parse(type, known)
                : null;
        }
        else if (type == typeof(double))
        {
            expected = "a number";
            value = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
                ? number
                : null;
        }
        else if (type == typeof(decimal))
        {
            expected = "a number";
            value = decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;
        }
        else
        {
            expected = type == typeof(int) ? "an integer" : "a size such as 512M, 6G or a number of bytes";
            if (Quantities.TryParseSize(text, out var size) && (type == typeof(long) || size is >= int.MinValue and <= int.MaxValue))
            {
                value = type == typeof(long) ? (object)size : (int)size;
            }
        }

        return value is not null;
    }
}
