package engine

import (
	"fmt"
	"slices"
	"strings"

	"github.com/openvideobox/videobox/internal/picture"
)

// Mode is how A and B are put together. The names are voctocore's.
type Mode string

// The modes, in the order of their buttons.
const (
	Fullscreen        Mode = "fullscreen"
	SideBySideEqual   Mode = "side_by_side_equal"
	SideBySidePreview Mode = "side_by_side_preview"
	PictureInPicture  Mode = "picture_in_picture"
)

// Modes are all of them.
var Modes = []Mode{Fullscreen, SideBySideEqual, SideBySidePreview, PictureInPicture}

// Scene is what the mix shows. A and B are roles of sources.
type Scene struct {
	Mode Mode   `json:"mode"`
	A    string `json:"a"`
	B    string `json:"b"`
}

// Check says what is wrong with s in a room with these sources, or nil.
func (s Scene) Check(roles []string) error {
	names := make([]string, len(Modes))
	for i, m := range Modes {
		names[i] = string(m)
	}
	if !slices.Contains(Modes, s.Mode) {
		return fmt.Errorf("mode %q; use one of %s", s.Mode, strings.Join(names, ", "))
	}
	for _, side := range []struct{ name, role string }{{"a", s.A}, {"b", s.B}} {
		if !slices.Contains(roles, side.role) {
			return fmt.Errorf("source %s is %q; this room has %s", side.name, side.role, strings.Join(roles, ", "))
		}
	}
	if s.A == s.B && len(roles) > 1 {
		return fmt.Errorf("a and b are both %s; use two sources", s.A)
	}
	return nil
}

// area is where A and B lie; B is empty where only A is shown. A is drawn first.
type area struct{ a, b picture.Rect }

// layout is the geometry of voctomix 1.3: a gutter of 1 % of the width; side by
// side two half-width pictures; with preview, A at 80 % top left and B at 25 %
// bottom right, a gutter away from the edges; picture in picture, B at 25 % over
// A. All even, for the chroma planes.
func layout(m Mode, w, h int) area {
	gutter := w / 100
	whole := picture.Rect{W: w, H: h}
	small := picture.Rect{X: w - gutter - w/4, Y: h - gutter - h/4, W: w / 4, H: h / 4}.Even()
	switch m {
	case SideBySideEqual:
		half := (w - gutter) / 2
		tall := half * h / w
		return area{
			picture.Rect{X: 0, Y: (h - tall) / 2, W: half, H: tall}.Even(),
			picture.Rect{X: w - half, Y: (h - tall) / 2, W: half, H: tall}.Even(),
		}
	case SideBySidePreview:
		return area{picture.Rect{X: gutter, Y: gutter, W: w * 4 / 5, H: h * 4 / 5}.Even(), small}
	case PictureInPicture:
		return area{whole, small}
	}
	return area{a: whole}
}
