using OxyPlot;
using OxyPlot.Axes;
using OxyPlot.Legends;
using OxyPlot.Series;

namespace PruneAndHealSample;

/// <summary>Right answers before, after the cut and after healing, as bars.</summary>
internal static class Picture
{
    private static readonly (string Name, OxyColor Color)[] Bars =
    [
        ("whole", OxyColor.Parse("#9aa5b1")), ("after the cut", OxyColor.Parse("#d1495b")), ("after healing", OxyColor.Parse("#2a7fb8")),
    ];

    /// <summary>Writes the picture.</summary>
    public static void Write(string path, Examined before, IReadOnlyList<Result> results)
    {
        PlotModel model = new()
        {
            Title = "2 of 8 blocks cut: questions answered right, %",
            TitleFontSize = 16,
            DefaultFont = "Arial",
            DefaultFontSize = 13,
            Background = OxyColors.White,
            PlotAreaBorderThickness = new OxyThickness(1, 0, 0, 1),
            Padding = new OxyThickness(14),
            Culture = System.Globalization.CultureInfo.InvariantCulture,
        };
        model.Legends.Add(new Legend { LegendPlacement = LegendPlacement.Outside, LegendPosition = LegendPosition.BottomCenter, LegendOrientation = LegendOrientation.Horizontal });
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
                Title = Bars[i].Name, FillColor = Bars[i].Color, XAxisKey = "share", YAxisKey = "criteria", LabelPlacement = LabelPlacement.Inside, LabelFormatString = "{0:0}", TextColor = OxyColors.White,
            };
            series.Items.AddRange(results.Select(result => new BarItem(100 * heights[i](result))));
            model.Series.Add(series);
        }

        using FileStream file = File.Create(path);
        new SvgExporter { Width = 860, Height = 420 }.Export(model, file);
    }
}
