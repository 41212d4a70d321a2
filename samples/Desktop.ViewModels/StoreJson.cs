using System.Text.Json;
using System.Text.Json.Serialization;

namespace DesktopSample.ViewModels;

/// <summary>How the stored files are written: for people to read, and strict where they are read back.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web,
    WriteIndented = true,
    RespectNullableAnnotations = true,
    RespectRequiredConstructorParameters = true,
    UseStringEnumConverter = true,
    DefaultIgnoreCondition = JsonIgnoreCondition.Never)]
[JsonSerializable(typeof(ConversationRecord))]
[JsonSerializable(typeof(SettingsRecord))]
internal sealed partial class StoreJson : JsonSerializerContext;
