package picture

import "github.com/openvideobox/videobox/internal/media"

// Scaler resizes frames. It keeps the weights of the sizes it has seen and its
// row buffers, so that it allocates nothing once warm. It is for one goroutine
// at a time; the zero value is ready.
type Scaler struct {
	filters map[size]*filter
	row     []byte
}

type size struct{ from, to int }

// maxFilters bounds the cache: a mixer knows a dozen sizes, and a source that
// changes its size all the time must not fill the memory.
const maxFilters = 64

// Scale resizes all of src into the rectangle r of dst: by area averaging in
// a direction that shrinks, linearly in one that grows. r is made even and must
// lie in dst, else nothing is drawn. Samples are not converted: when r is all of
// dst, dst takes src's colour description, else the two should be the same.
func (s *Scaler) Scale(dst, src *media.Frame, r Rect) { s.ScalePart(dst, src, r, Whole(src)) }

// ScalePart is Scale of the part of src alone, made even and cut to src.
func (s *Scaler) ScalePart(dst, src *media.Frame, r, part Rect) {
	r, part = r.Even(), part.In(src).Even()
	if r.W <= 0 || r.H <= 0 || part.W <= 0 || part.H <= 0 || r.In(dst) != r {
		return
	}
	if r == Whole(dst) {
		dst.Color = src.Color
	}
	from := planes(src, part)
	for i, p := range planes(dst, r) {
		s.plane(p, from[i])
	}
}

// Letterbox resizes src into the middle of dst, keeping its aspect (pixels are
// square), and blackens the rest. dst takes src's colour description.
func (s *Scaler) Letterbox(dst, src *media.Frame) {
	dst.Color = src.Color
	s.LetterboxRect(dst, src, Whole(dst))
}

// LetterboxRect is Letterbox into the part r of dst, which keeps its colour
// description.
func (s *Scaler) LetterboxRect(dst, src *media.Frame, r Rect) {
	r = r.Even()
	if r.W <= 0 || r.H <= 0 || r.In(dst) != r || src.Width < 2 || src.Height < 2 {
		return
	}
	in, black := r.Fit(src.Width, src.Height), byte(16)
	if dst.Color.Full {
		black = 0
	}
	for _, bar := range [4]Rect{
		{r.X, r.Y, r.W, in.Y - r.Y},
		{r.X, in.Y + in.H, r.W, r.Y + r.H - in.Y - in.H},
		{r.X, in.Y, in.X - r.X, in.H},
		{in.X + in.W, in.Y, r.X + r.W - in.X - in.W, in.H},
	} {
		FillRect(dst, bar, black, 128, 128)
	}
	s.Scale(dst, src, in)
}

// Scale is Scaler.Scale with weights made for this call.
func Scale(dst, src *media.Frame, r Rect) { new(Scaler).Scale(dst, src, r) }

// Letterbox is Scaler.Letterbox with weights made for this call.
func Letterbox(dst, src *media.Frame) { new(Scaler).Letterbox(dst, src) }

func (s *Scaler) filter(from, to int) *filter {
	k := size{from, to}
	if f := s.filters[k]; f != nil {
		return f
	}
	if s.filters == nil || len(s.filters) >= maxFilters {
		s.filters = make(map[size]*filter)
	}
	f := newFilter(from, to)
	s.filters[k] = f
	return f
}

// plane resizes one component: rows are blended first, eight pixels in one
// multiplication, then each blended row is resized across.
func (s *Scaler) plane(dst, src plane) {
	if src.w == dst.w && src.h == dst.h {
		for y := range dst.h {
			copy(dst.row(y), src.row(y))
		}
		return
	}
	down, across := s.filter(src.h, dst.h), s.filter(src.w, dst.w)
	if cap(s.row) < src.w {
		s.row = make([]byte, src.w)
	}
	for y := range dst.h {
		across.resize(dst.row(y), down.blend(s.row[:src.w], src, y))
	}
}
