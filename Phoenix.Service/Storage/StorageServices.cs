using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Configuration;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Indexes;
using Phoenix.Service.Storage.Postgres.Vectors;

namespace Phoenix.Service.Storage;

/// <summary>Registration of everything that stores.</summary>
internal static class StorageServices
{
    /// <summary>Connection name in <c>ConnectionStrings</c>.</summary>
    public const string ConnectionName = "phoenixdb";

    /// <summary>
    /// Data source, migrations, partitions and writers. Where the variables are not <paramref name="readable"/>, which is told by itself, a
    /// missing connection string is no fault of its own.
    /// </summary>
    public static void AddStorage(this WebApplicationBuilder builder, bool readable)
    {
        builder.Services.AddValidatedOptions<StorageOptions>(StorageOptions.Section, StorageOptions.Check);

        // The server ends requests only after the writers had the time to answer them.
        builder.Services.AddOptions<HostOptions>().Configure<IOptions<StorageOptions>>(
            static (host, storage) => host.ShutdownTimeout = storage.Value.DrainTimeout + TimeSpan.FromSeconds(2));
        builder.Services.AddStartWarnings(services => StorageOptions.Advise(services.GetRequiredService<IOptions<StorageOptions>>().Value));
        var key = $"ConnectionStrings:{ConnectionName}";
        var options = ValidatedOptions.Peek<StorageOptions>(builder.Configuration, StorageOptions.Section);
        try
        {
            builder.Configuration[key] = ConnectionSettings.Complete(
                builder.Configuration[key], options.Schema, Math.Clamp(options.Writers, 1, StorageOptions.MostWriters));
        }
        catch (StartUpException exception) when (readable || !string.IsNullOrWhiteSpace(builder.Configuration[key]))
        {
            builder.Services.AddFault(exception.Message);
        }
        catch (StartUpException)
        {
            // Told by the variables' own fault.
        }

        builder.AddNpgsqlDataSource(ConnectionName, settings => settings.DisableTracing = true);

        builder.Services.AddKeyedSingleton(WriterSession.DataSourceKey, (services, _) => NpgsqlDataSource.Create(
            WriterSession.WithTimeout(builder.Configuration[key]!,
                services.GetRequiredService<IOptions<StorageOptions>>().Value.WriteTimeout)));

        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<DatabaseState>();
        builder.Services.AddSingleton<ProjectTable>();
        builder.Services.AddSingleton<ProjectDirectory>();
        builder.Services.AddValidatedOptions<VectorOptions>(VectorOptions.Section, VectorOptions.Check);
        builder.Services.AddSingleton<SpanVectors>();
        builder.Services.AddHostedService<VectorWorker>();
        builder.Services.AddSingleton<AttributeIndexes>();
        builder.Services.AddSingleton<Partitions>();
        builder.Services.AddSingleton(services => new Migrations(
            services.GetRequiredService<NpgsqlDataSource>(), services.GetRequiredService<IOptions<StorageOptions>>().Value.Schema));
        builder.Services.AddSingleton<InternedRows>();
        builder.Services.AddSingleton<BatchStore>();
        builder.Services.AddSingleton<ServerSettings>();
        builder.Services.AddHostedService<MigrationService>();
        builder.Services.AddHostedService<StorageUpkeep>();
        builder.Services.AddSingleton<IndexBuilder>();
        builder.Services.AddHostedService(services => services.GetRequiredService<IndexBuilder>());
    }
}
