package dashboard

import (
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// source is the data source that is chosen above the panels.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// Grafana answers the dashboard in the form that every Grafana imports and is
// provisioned with. What follows it (v2) takes Grafana 12.
func Grafana() ([]byte, error) {
	//lint:ignore SA1019 see above
	b := sdk.NewDashboardBuilder("massattach").
		Uid("massattach").
		Description("How long it takes to attach to the threads of a process and to arrest them, and what that does to it.").
		Tags([]string{"massattach"}).
		Timezone("browser").
		Tooltip(sdk.DashboardCursorSyncCrosshair).
		Time("now-1h", "now").
		Refresh("30s").
		Editable().
		WithVariable(sdk.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(variable("instance", "Instance", "label_values(massattach_build_info, instance)")).
		WithVariable(variable("target", "Target", `label_values(massattach_target_threads{instance=~"$instance"}, target)`))
	for _, r := range Rows() {
		b.WithRow(sdk.NewRowBuilder(r.Title).Id(r.ID))
		for _, p := range r.Panels {
			b.WithPanel(p.grafana())
		}
	}
	d, err := b.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(d, "", "  ")
	return append(text, '\n'), err
}

// variable is a choice of label values above the panels: all, one or several.
func variable(name, label, query string) *sdk.QueryVariableBuilder {
	return sdk.NewQueryVariableBuilder(name).
		Label(label).
		Datasource(source).
		Query(sdk.StringOrMap{String: &query}).
		Definition(query).
		Refresh(sdk.VariableRefreshOnTimeRangeChanged).
		Sort(sdk.VariableSortAlphabeticalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(sdk.VariableOption{
			Selected: new(true),
			Text:     sdk.StringOrArrayOfString{String: new("All")},
			Value:    sdk.StringOrArrayOfString{String: new("$__all")},
		})
}

// builder is what the builders of all kinds of panels share.
type builder[B any] interface {
	cog.Builder[sdk.Panel]
	Id(uint32) B
	Title(string) B
	Description(string) B
	Datasource(common.DataSourceRef) B
	Span(uint32) B
	Height(uint32) B
	Unit(string) B
	Thresholds(cog.Builder[sdk.ThresholdsConfig]) B
	WithTarget(cog.Builder[variants.Dataquery]) B
}

// begin sets what panels of all kinds have.
func begin[B builder[B]](b B, p Panel) B {
	b.Id(p.ID)
	b.Title(p.Title)
	b.Description(p.About)
	b.Datasource(source)
	b.Span(p.Width)
	b.Height(p.Height)
	steps := []sdk.Threshold{{Color: "green"}}
	if p.Alarm != nil {
		steps = append(steps, sdk.Threshold{Value: p.Alarm, Color: "red"})
	}
	b.Thresholds(sdk.NewThresholdsConfigBuilder().Mode(sdk.ThresholdsModeAbsolute).Steps(steps))
	if p.Unit != "" {
		b.Unit(string(p.Unit))
	}
	for i, q := range p.Queries {
		b.WithTarget(p.query(i, q))
	}
	return b
}

// refID names the query of a panel.
func refID(i int) string { return string(rune('A' + i)) }

func (p Panel) query(i int, q Query) *prometheus.DataqueryBuilder {
	b := prometheus.NewDataqueryBuilder().
		Datasource(source).
		EditorMode(prometheus.QueryEditorModeCode).
		RefId(refID(i)).
		Expr(q.Expr).
		LegendFormat(q.Legend)
	switch p.Kind {
	case Number:
		b.Instant()
	case Table:
		b.Instant().Format(prometheus.PromQueryFormatTable)
	case Heatmap:
		b.Range().Format(prometheus.PromQueryFormatHeatmap)
	default:
		b.Range()
	}
	return b
}

func (p Panel) grafana() cog.Builder[sdk.Panel] {
	switch p.Kind {
	case Number:
		b := begin(stat.NewPanelBuilder(), p).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"})).
			ColorMode(common.BigValueColorModeValue).
			GraphMode(common.BigValueGraphModeNone).
			Orientation(common.VizOrientationAuto)
		if label.MatchString(p.Queries[0].Legend) {
			b.TextMode(common.BigValueTextModeValueAndName)
		}
		return b
	case Heatmap:
		return begin(heatmap.NewPanelBuilder(), p).
			Calculate(false).
			Color(heatmap.NewHeatmapColorOptionsBuilder().
				Mode(heatmap.HeatmapColorModeScheme).Scheme("Oranges").Fill("dark-orange").
				Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(64)).
			YAxis(heatmap.NewYAxisConfigBuilder().Unit(string(p.Unit)))
	case Table:
		return p.table()
	}
	b := begin(timeseries.NewPanelBuilder(), p).
		LineWidth(1).
		ShowPoints(common.VisibilityModeNever).
		Legend(common.NewVizLegendOptionsBuilder().
			DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom).ShowLegend(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().
			Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if p.Kind == Stack {
		b.FillOpacity(60).Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal).Group("A"))
	}
	if p.Log {
		b.ScaleDistribution(common.NewScaleDistributionConfigBuilder().Type(common.ScaleDistributionLog).Log(10))
	} else {
		b.Min(0)
	}
	return b
}

// table joins the results of the queries by their labels. Their columns are named
// after the queries.
func (p Panel) table() cog.Builder[sdk.Panel] {
	names := make(map[string]string)
	order := map[string]int{"target": 0, "instance": 1}
	b := begin(table.NewPanelBuilder(), p)
	for i, q := range p.Queries {
		column := "Value #" + refID(i)
		names[column] = q.Legend
		order[column] = len(order)
		b.OverrideByName(q.Legend, []sdk.DynamicConfigValue{{Id: "unit", Value: string(q.Unit)}})
	}
	return b.
		WithTransformation(sdk.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(sdk.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true},
			"indexByName":   order,
			"renameByName":  names,
		}}).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"})).
		SortBy([]cog.Builder[common.TableSortByFieldState]{
			common.NewTableSortByFieldStateBuilder().DisplayName(p.Queries[0].Legend).Desc(true),
		})
}
