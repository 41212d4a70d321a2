using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Series;

namespace PruneAndHealSample;

/// <summary>Right answers before, after the cut and after healing, as bars.</summary>
internal static class Picture
{
    private static readonly OxyColor[] Bars = [OxyColor.Parse("#7b8794"), OxyColor.Parse("#c0392b"), OxyColor.Parse("#2a7fb8")];

    /// <summary>Writes the picture.</summary>
    public static void Write(string path, Examined before, IReadOnlyList<Result> results)
    {
        PlotModel model = new()
        {
            // In the place of a legend, which is laid out with widths of text that a viewer's fonts need not have.
            Title = "Right answers, %: whole (grey), 2 of 8 blocks cut (red), healed (blue)",
            TitleFontSize = 15,
            TitlePadding = 12,
            DefaultFont = "Arial",
            DefaultFontSize = 13,
            Background = OxyColors.White,
            PlotAreaBorderThickness = new OxyThickness(1, 0, 0, 1),
            Padding = new OxyThickness(14, 14, 24, 14),
            Culture = System.Globalization.CultureInfo.InvariantCulture,
        };
        CategoryAxis criteria = new() { Position = AxisPosition.Bottom, Key = "criteria", GapWidth = 0.5 };
        criteria.Labels.AddRange(results.Select(result => $"{result.Criterion} ({string.Join(", ", result.Removed)})"));
        model.Axes.Add(criteria);
        model.Axes.Add(new LinearAxis
        {
            Position = AxisPosition.Left, Key = "share", Minimum = 0, Maximum = 100, MajorGridlineStyle = LineStyle.Solid, MajorGridlineColor = OxyColor.Parse("#e4e7eb"),
        });
        Func<Result, double>[] heights = [_ => before.Accuracy, result => result.Cut.Accuracy, result => result.Healed.Accuracy];
        for (int i = 0; i < Bars.Length; i++)
        {
            BarSeries series = new()
            {
                FillColor = Bars[i], XAxisKey = "share", YAxisKey = "criteria", LabelPlacement = LabelPlacement.Middle, LabelFormatString = "{0:0}", TextColor = OxyColors.White,
            };
            series.Items.AddRange(results.Select(result => new BarItem(100 * heights[i](result))));
            model.Series.Add(series);
        }

        using FileStream file = File.Create(path);
        new SvgExporter { Width = 860, Height = 440, UseVerticalTextAlignmentWorkaround = true }.Export(model, file);
    }
}
