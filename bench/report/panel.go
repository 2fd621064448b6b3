package report

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// panel is one chart: a plot between two axes. Its SVG is as wide as there is room, without its text being scaled:
// x is in percent of the width and y in pixels; lines are in a coordinate system that is stretched over the plot.
type panel struct {
	Title  string
	Note   string
	Height int
	Wide   bool   // a label at each end of a line is a word rather than a letter
	Warm   string // percent of the width that is warm-up, if any is
	X, Y   []tick
	Lines  []drawn
	Ends   []end
	Plot   plot
}

// tick is a mark in the coordinates of the SVG.
type tick struct {
	At     string
	Label  string
	Anchor string
	Minor  bool
}

// drawn is a line in the stretched coordinates.
type drawn struct{ Class, Series, Path string }

// end is a label at the last point of a line.
type end struct {
	Class, Series, Label string
	Y                    int
}

// line is what a panel shows.
type line struct {
	name   string // in the tooltip
	label  string // at its end, or none
	class  string // its colour and stroke
	series string // what its legend entry toggles
	faint  bool   // only drawn, as a background to the others
	x, y   []float64
}

// The stretched coordinate system, fine enough for a wide screen.
const (
	stretchX = 4000
	stretchY = 1000
)

func newPanel(title string, height int, x, y axis, lines []line) panel {
	p := panel{Title: title, Height: height, Plot: plot{X: newScale(x), Y: newScale(y)}}
	for _, m := range x.ticks {
		t := tick{At: percent(x.at(m.value)), Label: m.label, Minor: m.minor, Anchor: "middle"}
		p.X = append(p.X, t)
	}
	for _, m := range y.ticks {
		p.Y = append(p.Y, tick{At: strconv.Itoa(p.pixel(y.at(m.value))), Label: m.label})
	}
	if x.unit == moment && x.min < 0 {
		p.Warm = percent(x.at(0))
	}
	for _, l := range lines {
		path, last := trace(x, y, l)
		if path == "" {
			continue
		}
		p.Lines = append(p.Lines, drawn{Class: l.class, Series: l.series, Path: path})
		if l.label != "" {
			p.Ends = append(p.Ends, end{Class: l.class, Series: l.series, Label: l.label, Y: p.pixel(y.at(last))})
			p.Wide = p.Wide || len(l.label) > 3
		}
		if !l.faint {
			p.Plot.add(l)
		}
	}
	p.spread()
	return p
}

func (p panel) pixel(at float64) int { return int(math.Round(float64(p.Height) * (1 - at))) }

func percent(at float64) string {
	return strings.TrimSuffix(strconv.FormatFloat(at*100, 'f', 2, 64), ".00")
}

// trace draws a line with a gap where there is no value; last is where it ends.
func trace(x, y axis, l line) (path string, last float64) {
	var b strings.Builder
	pen := "M"
	for i, v := range l.y {
		if math.IsNaN(v) || math.IsInf(v, 0) || (y.log && v <= 0) {
			pen = "M"
			continue
		}
		px, py := int(math.Round(x.at(l.x[i])*stretchX)), int(math.Round((1-y.at(v))*stretchY))
		b.WriteString(pen + strconv.Itoa(px) + " " + strconv.Itoa(py))
		if pen == "M" {
			b.WriteString("h0") // a point alone is a dot: its caps are round
		}
		pen, last = "L", v
	}
	return b.String(), last
}

// spread moves labels apart that would overlap, within the plot.
func (p *panel) spread() {
	const apart = 14 // pixels: the height of a label
	slices.SortStableFunc(p.Ends, func(a, b end) int { return a.Y - b.Y })
	for i := 1; i < len(p.Ends); i++ {
		p.Ends[i].Y = max(p.Ends[i].Y, p.Ends[i-1].Y+apart)
	}
	bottom := p.Height + apart
	for i := len(p.Ends) - 1; i >= 0; i-- {
		bottom = min(p.Ends[i].Y, bottom-apart)
		p.Ends[i].Y = bottom
	}
}

// plot is what script.js knows of a panel.
type plot struct {
	X      scale   `json:"x"`
	Y      scale   `json:"y"`
	Series []trail `json:"series"`
}

type scale struct {
	Min  value `json:"min"`
	Max  value `json:"max"`
	Log  bool  `json:"log,omitempty"`
	Unit unit  `json:"unit"`
}

func newScale(a axis) scale { return scale{value(a.min), value(a.max), a.log, a.unit} }

// trail is a line: X is left out where it is that of the line before.
type trail struct {
	Name   string  `json:"name"`
	Class  string  `json:"class"`
	Series string  `json:"series"`
	X      []value `json:"x,omitempty"`
	Y      []value `json:"y"`
}

func (p *plot) add(l line) {
	t := trail{Name: l.name, Class: l.class, Series: l.series, X: values(l.x), Y: values(l.y)}
	for i := len(p.Series) - 1; i >= 0; i-- {
		if before := p.Series[i].X; before != nil {
			if slices.Equal(before, t.X) {
				t.X = nil
			}
			break
		}
	}
	p.Series = append(p.Series, t)
}

// value is a number in six digits; null is none.
type value float64

func values(from []float64) []value {
	to := make([]value, len(from))
	for i, v := range from {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			v = none
		}
		to[i] = value(v)
	}
	return to
}

// none is no value. It is not NaN, for it has to equal itself; nothing that is measured is below zero.
const none = -1 << 60

// MarshalJSON writes no more digits than a tooltip shows.
func (v value) MarshalJSON() ([]byte, error) {
	if v == none {
		return []byte("null"), nil
	}
	return strconv.AppendFloat(nil, float64(v), 'g', 6, 64), nil
}
