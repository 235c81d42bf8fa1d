using System.Text;
using System.Text.Json;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Writes JSON back as the OTLP AnyValue it stands for, so that what is stored can be read like what was sent.</summary>
internal static class JsonAnyValue
{
    /// <summary>The members of AnyValue for <paramref name="json"/>; nothing for null.</summary>
    public static void Write(ProtobufWriter writer, JsonElement json)
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.String:
                var text = writer.Begin(CommonFields.AnyString);
                WriteText(writer, json.GetString()!);
                writer.End(text);
                break;
            case JsonValueKind.True or JsonValueKind.False:
                writer.WriteVarint(CommonFields.AnyBool, json.GetBoolean() ? 1u : 0u);
                break;
            case JsonValueKind.Number when json.TryGetInt64(out var integer):
                writer.WriteVarint(CommonFields.AnyInt, (ulong)integer);
                break;
            case JsonValueKind.Number:
                writer.WriteFixed64(CommonFields.AnyDouble, BitConverter.DoubleToUInt64Bits(json.GetDouble()));
                break;
            case JsonValueKind.Array:
                var list = writer.Begin(CommonFields.AnyArray);
                foreach (var item in json.EnumerateArray())
                {
                    var value = writer.Begin(CommonFields.ArrayValues);
                    Write(writer, item);
                    writer.End(value);
                }

                writer.End(list);
                break;
            case JsonValueKind.Object:
                var members = writer.Begin(CommonFields.AnyKeyValueList);
                foreach (var member in json.EnumerateObject())
                {
                    var pair = writer.Begin(CommonFields.KeyValueListValues);
                    var key = writer.Begin(CommonFields.KeyValueKey);
                    WriteText(writer, member.Name);
                    writer.End(key);
                    var value = writer.Begin(CommonFields.KeyValueValue);
                    Write(writer, member.Value);
                    writer.End(value);
                    writer.End(pair);
                }

                writer.End(members);
                break;
        }
    }

    private static void WriteText(ProtobufWriter writer, string text) =>
        writer.Advance(Encoding.UTF8.GetBytes(text, writer.Reserve(Encoding.UTF8.GetMaxByteCount(text.Length))));
}
