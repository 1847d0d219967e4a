// Package jpeg decodes the baseline JPEG pictures of capture devices (MJPEG)
// into I420, and encodes I420, with libjpeg-turbo and without a detour by RGB.
//
// Samples are what JFIF says (ITU-T T.871): BT.601, full range. Frames come out
// marked so, and must be so to be encoded; picture.Convert changes them.
//
// Sources are 4:2:0, 4:2:2 (chroma rows are averaged), and, by a slower path,
// 4:4:4, 4:4:0 and grey. Missing Huffman tables, as in AVI's MJPEG, are the
// standard ones. Damaged pictures are decoded as far as they go; the number of
// warnings says that they are. A few stray bytes before a marker are no damage.
//
// It needs cgo; without it everything returns ErrNoCgo. Tested with
// libjpeg-turbo 2.1.5 (Debian 12), against Go's image/jpeg, and fuzzed.
package jpeg

import (
	"errors"
	"fmt"

	"github.com/openvideobox/videobox/internal/media"
)

// ErrNoCgo is what everything returns in a build without cgo.
var ErrNoCgo = errors.New("jpeg: built without cgo: build with CGO_ENABLED=1 and libjpeg62-turbo-dev")

// Color is what JPEG's samples are.
var Color = media.Color{Matrix: media.BT601, Full: true}

// maxSide bounds what a damaged header can make Decode allocate.
const maxSide = 4096

func checkEncode(f *media.Frame, quality int) error {
	if err := f.Check(); err != nil {
		return fmt.Errorf("jpeg: %w", err)
	}
	switch {
	case f.Width > maxSide || f.Height > maxSide:
		return fmt.Errorf("jpeg: frame of %dx%d: at most %d a side", f.Width, f.Height, maxSide)
	case quality < 1 || quality > 100:
		return fmt.Errorf("jpeg: quality %d: must be between 1 and 100", quality)
	case f.Color != Color:
		return fmt.Errorf("jpeg: frame's colour is %+v: must be BT.601 full range, see picture.Convert", f.Color)
	}
	return nil
}
