using System.Buffers.Binary;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>A resource as rows refer to it, with what the decoders need of its attributes.</summary>
internal sealed record ResourceEntry(InternedResource Row, string? ProjectName, byte[]? SessionId, byte[]? UserId);

/// <summary>
/// Resources and scopes by the hash of their content (first 8 bytes of SHA-256 over the attributes in key order, schema URL, and counts),
/// so that replicas agree on the ids without a round trip. Decoded ones are remembered by their raw bytes, in tables that never grow.
/// </summary>
internal sealed class ResourceInterner(AttributePolicy policy)
{
    private const int Slots = 1024;
    private const int LongestRemembered = 16 * 1024;

    private readonly Remembered<ResourceEntry>?[] _resources = new Remembered<ResourceEntry>?[Slots];
    private readonly Remembered<InternedScope>?[] _scopes = new Remembered<InternedScope>?[Slots];

    /// <summary>The resource of a Resource message (empty: none was sent); null when the message breaks the encoding.</summary>
    public ResourceEntry? Resource(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl)
    {
        ref var slot = ref _resources[Slot(message, schemaUrl)];
        if (slot is { } known && known.Matches(message, schemaUrl))
        {
            return known.Value;
        }

        var entry = DecodeResource(message, schemaUrl);
        if (entry is not null && message.Length + schemaUrl.Length <= LongestRemembered)
        {
            slot = new Remembered<ResourceEntry>(message.ToArray(), schemaUrl.ToArray(), entry);
        }

        return entry;
    }

    /// <summary>The scope of an InstrumentationScope message (empty: none was sent); null when the message breaks the encoding.</summary>
    public InternedScope? Scope(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl)
    {
        ref var slot = ref _scopes[Slot(message, schemaUrl)];
        if (slot is { } known && known.Matches(message, schemaUrl))
        {
            return known.Value;
        }

        var entry = DecodeScope(message, schemaUrl);
        if (entry is not null && message.Length + schemaUrl.Length <= LongestRemembered)
        {
            slot = new Remembered<InternedScope>(message.ToArray(), schemaUrl.ToArray(), entry);
        }

        return entry;
    }

    /// <summary>The id of interned content: the parts in order, kept apart.</summary>
    public static long IdOf(params ReadOnlySpan<string?> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var part in parts)
        {
            hash.AppendData(Encoding.UTF8.GetBytes(part ?? string.Empty));
            hash.AppendData([0]);
        }

        return BinaryPrimitives.ReadInt64BigEndian(hash.GetHashAndReset());
    }

    private static uint Slot(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl) =>
        (ByteHash.Of(message) ^ (ByteHash.Of(schemaUrl) * 31)) % Slots;

    private ResourceEntry? DecodeResource(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl)
    {
        using var attributes = new KeyValueList(policy.MaxAttributes);
        if (!attributes.TryRead(message, CommonFields.ResourceAttributes)
            || !TryReadCount(message, CommonFields.ResourceDroppedAttributesCount, out var dropped)
            || !TryWriteSorted(message, attributes, policy, out var json, out var original))
        {
            return null;
        }

        dropped = (int)Math.Min((long)dropped + attributes.Excess, int.MaxValue);

        var use = new AttributeUse(policy);
        var schema = TextOf(schemaUrl, use);
        var project = NameOf(message, attributes, "openinference.project.name"u8, use);
        var service = NameOf(message, attributes, "service.name"u8, use) is { } name ? JsonText.ToText(name) : "unknown_service";
        var id = IdOf(["resource", json, schema, dropped.ToString(CultureInfo.InvariantCulture), .. original]);
        var entry = new ResourceEntry(
            new InternedResource(id, service, json, schema, dropped),
            project is null ? null : JsonText.ToText(project),
            SessionOf(message, attributes, use),
            NameOf(message, attributes, "user.id"u8, use));
        use.Report(sampledOut: 0);
        return entry;
    }

    private InternedScope? DecodeScope(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl)
    {
        ReadOnlySpan<byte> name = default, version = default;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (CommonFields.ScopeName << 3) | WireType.Bytes => reader.TryReadBytes(out name),
                    (CommonFields.ScopeVersion << 3) | WireType.Bytes => reader.TryReadBytes(out version),
                    _ => reader.TrySkip(tag),
                }))
            {
                return null;
            }
        }

        using var attributes = new KeyValueList(policy.MaxAttributes);
        if (!attributes.TryRead(message, CommonFields.ScopeAttributes)
            || !TryReadCount(message, CommonFields.ScopeDroppedAttributesCount, out var dropped)
            || !TryWriteSorted(message, attributes, policy, out var json, out var original))
        {
            return null;
        }

        dropped = (int)Math.Min((long)dropped + attributes.Excess, int.MaxValue);

        var use = new AttributeUse(policy);
        var nameText = TextOf(name, use) ?? string.Empty;
        var versionText = TextOf(version, use);
        var schema = TextOf(schemaUrl, use);
        use.Report(sampledOut: 0);
        var attributesText = attributes.Count == 0 ? null : json;
        var id = IdOf(
            ["scope", nameText, versionText, attributesText, schema, dropped.ToString(CultureInfo.InvariantCulture), .. original]);
        return new InternedScope(id, nameText, versionText, attributesText, schema, dropped);
    }

    /// <summary>What is kept of a text outside the attributes; null when there is none.</summary>
    private static string? TextOf(ReadOnlySpan<byte> text, AttributeUse use) =>
        text.IsEmpty ? null : JsonText.ToText(use.Label(default, text));

    private static bool TryReadCount(ReadOnlySpan<byte> message, int field, out int count)
    {
        count = 0;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            if (tag == (((uint)field << 3) | WireType.Varint))
            {
                if (!reader.TryReadVarint(out var value))
                {
                    return false;
                }

                count = (int)Math.Min((uint)value, int.MaxValue);
            }
            else if (!reader.TrySkip(tag))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>What is kept of the text of an attribute that names something; null when there is none, or a rule leaves it out.</summary>
    private byte[]? NameOf(ReadOnlySpan<byte> message, KeyValueList attributes, ReadOnlySpan<byte> key, AttributeUse use)
    {
        if (!attributes.TryFind(message, key, out var found) || !AnyValue.TryRead(found, out var value)
            || value.Kind != AnyValueKind.String)
        {
            return null;
        }

        var name = use.Label(key, policy.Readable(policy.Keys.Get(key), value, found).Data);
        return name.IsEmpty ? null : name.ToArray();
    }

    /// <summary>The session by the operator's rules, else by <c>session.id</c>; null when there is none.</summary>
    private byte[]? SessionOf(ReadOnlySpan<byte> message, KeyValueList attributes, AttributeUse use)
    {
        var ruled = default(RuledSession);
        for (var i = 0; i < attributes.Count; i++)
        {
            if (!attributes.IsOverwritten(i))
            {
                ruled.Offer(policy.Keys.Get(attributes.Key(message, i)), attributes.Value(message, i), use);
            }
        }

        return ruled.Text.IsEmpty ? NameOf(message, attributes, "session.id"u8, use) : use.Label("session.id"u8, ruled.Text).ToArray();
    }

    /// <summary>
    /// The attributes as a JSON object in the order of their keys: one content, one text. False when a value breaks the encoding. Where
    /// redaction changed them, <paramref name="original"/> has a salted hash of what was sent: what differs must not become one because
    /// of a rule, or the points of one collection fall on each other. Else it is empty.
    /// </summary>
    public static bool TryWriteSorted(
        ReadOnlySpan<byte> message, KeyValueList attributes, AttributePolicy policy, out string json, out string[] original)
    {
        original = [];
        var order = new List<(AttributeKey Key, int Index)>(attributes.Count);
        for (var i = 0; i < attributes.Count; i++)
        {
            if (!attributes.IsOverwritten(i))
            {
                order.Add((policy.Keys.Get(attributes.Key(message, i)), i));
            }
        }

        order.Sort((left, right) => left.Key.Utf8.AsSpan().SequenceCompareTo(right.Key.Utf8));
        using var rows = new CopyRows();
        rows.StartRow(1);
        var field = rows.BeginField();
        var use = new AttributeUse(policy);
        foreach (var (key, index) in order)
        {
            if (!AttributeJson.TryWriteMember(rows, key, attributes.Value(message, index), use))
            {
                json = string.Empty;
                return false;
            }
        }

        AttributeJson.CloseObject(rows, field);
        rows.EndField(field);
        rows.EndRow();
        if (use.Redacted)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (var (key, index) in order)
            {
                Append(hash, key.Utf8);
                Append(hash, attributes.Value(message, index));
            }

            original = [Encoding.UTF8.GetString(policy.Redactor.Replacement(RedactionAction.Hash, hash.GetHashAndReset()))];
        }

        use.Report(sampledOut: 0);
        json = Encoding.UTF8.GetString(rows.Written.Span[(sizeof(short) + sizeof(int))..]);
        return true;
    }

    /// <summary>Adds a part so that it is kept apart from the next.</summary>
    public static void Append(IncrementalHash hash, ReadOnlySpan<byte> part)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, part.Length);
        hash.AppendData(length);
        hash.AppendData(part);
    }

    /// <summary>What was decoded from these bytes; immutable, so slots may be read and replaced by any thread.</summary>
    private sealed record Remembered<T>(byte[] Message, byte[] SchemaUrl, T Value)
    {
        public bool Matches(ReadOnlySpan<byte> message, ReadOnlySpan<byte> schemaUrl) =>
            message.SequenceEqual(Message) && schemaUrl.SequenceEqual(SchemaUrl);
    }
}
