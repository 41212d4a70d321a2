using System.Text.Json.Nodes;

namespace Vicuna.Managed.Tests.Support;

/// <summary>
/// The oracle: a Llama decoder in f64, written down from Hugging Face's modeling_llama.py and modeling_rope_utils.py, for whole sequences, without
/// cache, chunks or threads. It shares no code with the library.
/// </summary>
internal sealed class ReferenceDecoder(TinyModel model)
{
    private readonly int _hidden = Int(model.Config, "hidden_size");
    private readonly int _layers = Int(model.Config, "num_hidden_layers");
    private readonly int _heads = Int(model.Config, "num_attention_heads");
    private readonly int _keyValueHeads = Int(model.Config, "num_key_value_heads");
    private readonly int _headDim = model.Config["head_dim"]?.GetValue<int>() ?? (Int(model.Config, "hidden_size") / Int(model.Config, "num_attention_heads"));

    /// <summary>Logits after every token, <c>[T][V]</c>.</summary>
    public double[][] Logits(int[] tokens)
    {
        string head = model.Config["tie_word_embeddings"]?.GetValue<bool>() == true ? "model.embed_tokens" : "lm_head";
        return Linear(head, Hidden(tokens));
    }

    /// <summary>The last block's output, normalized, <c>[T][D]</c>.</summary>
    public double[][] Hidden(int[] tokens)
    {
        double[] table = Values("model.embed_tokens.weight");
        double[][] stream = [.. tokens.Select(token => table[(token * _hidden)..((token + 1) * _hidden)])];
        for (int layer = 0; layer < _layers; layer++)
        {
            string block = $"model.layers.{layer}.";
            double[][] attended = Attend(block + "self_attn.", Norm(stream, block + "input_layernorm.weight"));
            stream = Sum(stream, attended);
            double[][] normed = Norm(stream, block + "post_attention_layernorm.weight");
            double[][] gate = Linear(block + "mlp.gate_proj", normed);
            double[][] up = Linear(block + "mlp.up_proj", normed);
            double[][] product = [.. gate.Zip(up, (g, u) => g.Zip(u, (x, y) => x / (1 + Math.Exp(-x)) * y).ToArray())];
            stream = Sum(stream, Linear(block + "mlp.down_proj", product));
        }

        return Norm(stream, "model.norm.weight");
    }

    private static int Int(JsonObject config, string key) => config[key]!.GetValue<int>();

    private static double[][] Sum(double[][] a, double[][] b) => [.. a.Zip(b, (x, y) => x.Zip(y, (p, q) => p + q).ToArray())];

    private double[] Values(string name) => [.. model.Tensors[name].Values.Select(value => (double)value)];

    private double[][] Norm(double[][] rows, string name)
    {
        double[] gain = Values(name);
        double epsilon = (float)model.Config["rms_norm_eps"]!.GetValue<double>();
        return [.. rows.Select(row =>
        {
            double scale = 1 / Math.Sqrt((row.Sum(x => x * x) / row.Length) + epsilon);
            return row.Select((x, i) => x * scale * gain[i]).ToArray();
        })];
    }

    private double[][] Linear(string name, double[][] rows)
    {
        double[] weight = Values(name + ".weight");
        double[]? bias = model.Tensors.ContainsKey(name + ".bias") ? Values(name + ".bias") : null;
        int columns = rows[0].Length;
        int outputs = weight.Length / columns;
        return [.. rows.Select(row =>
        {
            double[] result = new double[outputs];
            for (int o = 0; o < outputs; o++)
            {
                double sum = bias?[o] ?? 0;
                for (int c = 0; c < columns; c++)
                {
                    sum += weight[(o * columns) + c] * row[c];
                }

                result[o] = sum;
            }

            return result;
        })];
    }

    private double[][] Attend(string name, double[][] rows)
    {
        double[][] queries = Linear(name + "q_proj", rows);
        double[][] keys = Linear(name + "k_proj", rows);
        double[][] values = Linear(name + "v_proj", rows);
        for (int position = 0; position < rows.Length; position++)
        {
            Rotate(queries[position], position);
            Rotate(keys[position], position);
        }

        int window = model.Config["sliding_window"]?.GetValue<int>() ?? int.MaxValue;
        double[][] result = [.. rows.Select(_ => new double[_heads * _headDim])];
        for (int position = 0; position < rows.Length; position++)
        {
            for (int head = 0; head < _heads; head++)
            {
                int query = head * _headDim;
                int key = head / (_heads / _keyValueHeads) * _headDim;
                int first = Math.Max(0, position - window + 1);
                double[] scores = new double[position - first + 1];
                for (int seen = first; seen <= position; seen++)
                {
                    for (int i = 0; i < _headDim; i++)
                    {
                        scores[seen - first] += queries[position][query + i] * keys[seen][key + i] / Math.Sqrt(_headDim);
                    }
                }

                double maximum = scores.Max();
                double sum = scores.Sum(score => Math.Exp(score - maximum));
                for (int seen = first; seen <= position; seen++)
                {
                    double weight = Math.Exp(scores[seen - first] - maximum) / sum;
                    for (int i = 0; i < _headDim; i++)
                    {
                        result[position][query + i] += weight * values[seen][key + i];
                    }
                }
            }
        }

        return Linear(name + "o_proj", result);
    }

    private void Rotate(double[] row, int position)
    {
        int half = _headDim / 2;
        for (int start = 0; start < row.Length; start += _headDim)
        {
            for (int i = 0; i < half; i++)
            {
                double angle = position * Frequency(i);
                (double a, double b) = (row[start + i], row[start + half + i]);
                row[start + i] = (a * Math.Cos(angle)) - (b * Math.Sin(angle));
                row[start + half + i] = (b * Math.Cos(angle)) + (a * Math.Sin(angle));
            }
        }
    }

    private double Frequency(int i)
    {
        JsonNode? rope = model.Config["rope_parameters"] ?? model.Config["rope_scaling"];
        double theta = (model.Config["rope_theta"] ?? rope?["rope_theta"])?.GetValue<double>() ?? 10000;
        double frequency = 1 / Math.Pow(theta, 2.0 * i / _headDim);
        string type = (rope?["rope_type"] ?? rope?["type"])?.GetValue<string>() ?? "default";
        if (type == "default")
        {
            return frequency;
        }

        double factor = rope!["factor"]!.GetValue<double>();
        if (type == "linear")
        {
            return frequency / factor;
        }

        double low = rope["low_freq_factor"]!.GetValue<double>();
        double high = rope["high_freq_factor"]!.GetValue<double>();
        double original = rope["original_max_position_embeddings"]!.GetValue<double>();
        double wavelength = 2 * Math.PI / frequency;
        if (wavelength < original / high)
        {
            return frequency;
        }

        if (wavelength > original / low)
        {
            return frequency / factor;
        }

        double smooth = ((original / wavelength) - low) / (high - low);
        return ((1 - smooth) * frequency / factor) + (smooth * frequency);
    }
}
