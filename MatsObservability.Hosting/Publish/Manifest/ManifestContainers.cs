using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Publishing;

namespace MatsObservability.Hosting.Publish.Manifest;

/// <summary>Writes what only containers have: the build of an image, and mounts.</summary>
internal static class ManifestContainers
{
    public static void WriteBuild(ManifestPublishingContext context, DockerfileBuildAnnotation build)
    {
        var writer = context.Writer;
        writer.WriteStartObject("build");
        writer.WriteString("context", context.GetManifestRelativePath(build.ContextPath));
        writer.WriteString("dockerfile", context.GetManifestRelativePath(build.DockerfilePath));
        if (build.Stage is { } stage)
        {
            writer.WriteString("stage", stage);
        }

        if (build.BuildArguments.Count > 0)
        {
            writer.WriteStartObject("args");
            foreach (var (name, value) in build.BuildArguments)
            {
                writer.WriteString(name, context.Expression(value));
            }

            writer.WriteEndObject();
        }

        if (build.BuildSecrets.Count > 0)
        {
            writer.WriteStartObject("secrets");
            foreach (var (name, parameter) in build.BuildSecrets)
            {
                writer.WriteStartObject(name);
                writer.WriteString("type", "env");
                writer.WriteString("value", context.Expression(parameter));
                writer.WriteEndObject();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndObject();
    }

    public static void WriteMounts(ManifestPublishingContext context, ContainerResource container)
    {
        var mounts = container.Annotations.OfType<ContainerMountAnnotation>().ToLookup(mount => mount.Type);
        WriteList("bindMounts", mounts[ContainerMountType.BindMount],
            mount => context.Writer.WriteString("source", context.GetManifestRelativePath(mount.Source)));
        WriteList("volumes", mounts[ContainerMountType.Volume], mount =>
        {
            if (!string.IsNullOrEmpty(mount.Source))
            {
                context.Writer.WriteString("name", mount.Source);
            }
        });

        void WriteList(string property, IEnumerable<ContainerMountAnnotation> list, Action<ContainerMountAnnotation> writeSource)
        {
            if (!list.Any())
            {
                return;
            }

            context.Writer.WriteStartArray(property);
            foreach (var mount in list)
            {
                context.Writer.WriteStartObject();
                writeSource(mount);
                context.Writer.WriteString("target", mount.Target);
                context.Writer.WriteBoolean("readOnly", mount.IsReadOnly);
                context.Writer.WriteEndObject();
            }

            context.Writer.WriteEndArray();
        }
    }
}
