package engine

import (
	"context"
	"errors"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/openvideobox/videobox/internal/clock"
	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/media"
	"github.com/openvideobox/videobox/internal/picture"
	"github.com/openvideobox/videobox/mixer-host/internal/source"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	testRate = 25
	second   = int64(time.Second)
)

// start is a whole second.
var start = time.Date(2027, 2, 6, 9, 0, 0, 0, time.UTC).UnixNano()

// fake is a source whose pictures and sound are functions of program time.
type fake struct {
	role   string
	size   [2]int
	luma   func(t int64) int // -1: no picture yet
	pcm    func(pos int64) int16
	state  source.State
	last   source.Frame
	asked  []int64
	sounds []int64
}

func (f *fake) Role() string        { return f.role }
func (f *fake) Name() string        { return f.role + " box1" }
func (f *fake) Address() string     { return "tcp://192.0.2.1:8899" }
func (f *fake) State() source.State { return f.state }
func (f *fake) Stats() source.Stats { return source.Stats{} }

func (f *fake) Frame(t int64) *source.Frame {
	f.asked = append(f.asked, t)
	luma := f.luma(t)
	if luma < 0 {
		return nil
	}
	p := media.FrameTime(media.FrameAt(t, testRate), testRate)
	if p != f.last.Program || f.last.Width == 0 {
		fresh := source.Frame{Program: p, Flags: h264.Live, Change: f.last.Change}
		if f.last.Width == 0 || int(f.last.Y[0]) != luma {
			fresh.Change++
		}
		fresh.Frame = *media.NewFrame(f.size[0], f.size[1])
		picture.Fill(&fresh.Frame, byte(luma), 90, 160)
		fresh.Time = p - 70e6
		f.last = fresh
	}
	// A queue never hands one buffer out for two pictures in a row.
	c := f.last
	return &c
}

func (f *fake) Sound(pos int64, dst []int16) bool {
	f.sounds = append(f.sounds, pos)
	for i := range dst {
		dst[i] = 0
		if f.pcm != nil {
			dst[i] = f.pcm(pos + int64(i/2))
		}
	}
	return true
}

func constant(luma int) func(int64) int { return func(int64) int { return luma } }

// sink keeps what it is given.
type sink struct {
	frames []*media.Frame
	metas  []Meta
	first  int64
	pcm    []int16
	refuse bool
	seen   chan struct{}
}

func (s *sink) Video(f *media.Frame, m Meta) bool {
	c := &media.Frame{}
	picture.Copy(c, f)
	s.frames, s.metas = append(s.frames, c), append(s.metas, m)
	return !s.refuse
}

func (s *sink) Audio(pos int64, pcm []int16) {
	if len(s.pcm) == 0 {
		s.first = pos
	}
	s.pcm = append(s.pcm, pcm...)
	if s.seen != nil {
		s.seen <- struct{}{}
	}
}

func testEngine(t *testing.T, o Options, sources ...Source) (*Engine, *sink) {
	t.Helper()
	out := &sink{}
	o.Room, o.Width, o.Height, o.Rate, o.Sources, o.Sink = "demo", 640, 360, testRate, sources, out
	if o.Clock == nil {
		o.Clock = clock.NewHeld(start)
	}
	if o.Delay == 0 {
		o.Delay = 240 * time.Millisecond
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e, out
}

func cameraAndSlides() (camera, slides *fake) {
	return &fake{role: "camera", size: [2]int{1280, 720}, luma: constant(60)},
		&fake{role: "slides", size: [2]int{640, 480}, luma: constant(200)}
}

// at is the luma at a point given in thousandths of the picture.
func at(f *media.Frame, x, y int) int {
	return int(f.Y[f.Height*y/1000*f.YStride+f.Width*x/1000])
}

func TestScenesShowWhatLiesWhere(t *testing.T) {
	const camera, slides, ground, black = 60, 200, -1, 16
	for mode, points := range map[Mode]map[[2]int]int{
		Fullscreen:        {{500, 500}: slides, {50, 500}: black, {950, 990}: black, {500, 10}: slides},
		SideBySidePreview: {{400, 400}: slides, {5, 500}: ground, {950, 300}: ground, {800, 850}: camera, {980, 980}: camera, {995, 995}: ground, {400, 950}: ground},
		SideBySideEqual:   {{250, 500}: slides, {750, 500}: camera, {500, 100}: ground, {250, 900}: ground, {499, 500}: ground},
		PictureInPicture:  {{400, 400}: slides, {850, 850}: camera, {995, 500}: black},
	} {
		t.Run(string(mode), func(t *testing.T) {
			cam, sld := cameraAndSlides()
			e, out := testEngine(t, Options{Scene: Scene{mode, "slides", "camera"}}, cam, sld)
			e.tick(media.FrameAt(start, testRate))
			background := int(e.compose.background.Y[0])
			for p, want := range points {
				if want == ground {
					want = background
				}
				if got := at(out.frames[0], p[0], p[1]); got < want-2 || got > want+2 {
					t.Errorf("luma at %v is %d, want %d", p, got, want)
				}
			}
		})
	}
}

// TestNothingIsLeftBehind composes step by step and compares with drawing anew.
func TestNothingIsLeftBehind(t *testing.T) {
	background, err := loadBackground("", 320, 180)
	if err != nil {
		t.Fatal(err)
	}
	l, err := loadLogo(testLogo(t), 320, 180)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*logo{nil, l} {
		c := NewCompositor(background, l)
		for i := range 40 {
			a, b := flat(640, 360, 150+i/4%5*20, i/4), flat(400, 300, 40+i%3, 100+i)
			if i/5%2 == 1 {
				a, b = b, a
			}
			mode := Modes[i/10]
			got, _ := c.Compose(mode, a, b)
			want, _ := NewCompositor(background, l).Compose(mode, a, b)
			if string(got.Y) != string(want.Y) || string(got.U) != string(want.U) {
				t.Fatalf("step %d differs from a picture that is drawn anew, logo %v", i, l != nil)
			}
		}
	}
}

func flat(w, h, luma, version int) Input {
	f := media.NewFrame(w, h)
	picture.Fill(f, byte(luma), 90, 160)
	return Input{Frame: f, Version: uint64(version + 1)}
}

func testLogo(t *testing.T) string {
	img := image.NewNRGBA(image.Rect(0, 0, 64, 32))
	for i := range 64 * 32 {
		img.SetNRGBA(i%64, i/64, color.NRGBA{255, 255, 255, 128})
	}
	path := filepath.Join(t.TempDir(), "logo.png")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestStaticPicturesAreNotDrawnAgain(t *testing.T) {
	cam, sld := cameraAndSlides()
	e, out := testEngine(t, Options{}, cam, sld)
	n := media.FrameAt(start, testRate)
	for i := range int64(10) {
		e.tick(n + i)
	}
	if got := e.Stats().Composed; got != 1 {
		t.Errorf("%d of 10 frames composed", got)
	}
	for i, m := range out.metas {
		if m.Flags != h264.Live {
			t.Errorf("frame %d has flags %b: its picture is new, if equal", i, m.Flags)
		}
	}
}

func TestDelayIsTheSameForPictureAndSound(t *testing.T) {
	cam, _ := cameraAndSlides()
	const delay = 240
	// White, and loud, in the first 40 ms of each second of program time.
	cam.luma = func(t int64) int { return map[bool]int{true: 235, false: 16}[t%second < 40e6] }
	cam.pcm = func(pos int64) int16 { return map[bool]int16{true: 9000}[pos%48000 < 1920] }
	e, out := testEngine(t, Options{}, cam)
	n := media.FrameAt(start, testRate)
	for i := range int64(50) {
		e.tick(n + i)
	}
	for i, f := range out.frames {
		if white, want := at(f, 500, 500) > 100, i%testRate == delay/40; white != want {
			t.Errorf("frame %d: white %v", i, white)
		}
		p := media.FrameTime(n+int64(i), testRate) - delay*1e6 - 70e6
		if out.metas[i].Capture != p {
			t.Errorf("frame %d: captured %d ms off", i, (out.metas[i].Capture-p)/1e6)
		}
	}
	if out.first != media.SampleAt(start) || len(out.pcm) != 50*1920*2 {
		t.Fatalf("sound from %d on, %d values", out.first, len(out.pcm))
	}
	for i := 0; i < len(out.pcm); i += 2 {
		ms := i / 2 * 1000 / 48000 % 1000
		loud := out.pcm[i] > 8000
		if want := ms >= delay && ms < delay+40; want != loud && ms%1000 > delay+12 && i > 48000 {
			t.Fatalf("sample %d (%d ms) is %d", i/2, ms, out.pcm[i])
		}
	}
}

func TestSlateNamesTheSource(t *testing.T) {
	cam, sld := cameraAndSlides()
	gone := false
	cam.luma = func(int64) int {
		if gone {
			return -1
		}
		return 60
	}
	cam.state = source.State{Cause: "no connection to 192.0.2.1:8899, retrying"}
	e, out := testEngine(t, Options{Scene: Scene{Fullscreen, "camera", "slides"}}, cam, sld)
	n := media.FrameAt(start, testRate)
	e.tick(n)
	gone = true
	e.tick(n + 1)
	want := media.NewFrame(640, 360)
	picture.FromImage(want, picture.Slate(640, 360, picture.SlateText{
		Name: "camera box1", Room: "demo", Cause: cam.state.Cause, Address: "tcp://192.0.2.1:8899",
	}))
	if string(out.frames[1].Y) != string(want.Y) {
		t.Error("the slate is not shown as it should be")
	}
	if m := out.metas[1]; m.Flags != h264.Slate|h264.Repeated || m.Capture != 0 {
		t.Errorf("flags %b, capture %d", m.Flags, m.Capture)
	}
	// Beside a live source the whole is live.
	if err := e.SetScene(Scene{Mode: SideBySideEqual}); err != nil {
		t.Fatal(err)
	}
	e.tick(n + 2)
	if m := out.metas[2]; m.Flags != h264.Live || m.Capture == 0 {
		t.Errorf("with slides: flags %b, capture %d", m.Flags, m.Capture)
	}
}

func TestSlateFollowsTheCause(t *testing.T) {
	cam, _ := cameraAndSlides()
	cam.luma = constant(-1)
	cam.state.Cause = "connecting"
	e, _ := testEngine(t, Options{}, cam)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); e.sources[0].drawSlates(ctx) }()
	cam.state.Cause = "no data"
	e.tick(media.FrameAt(start, testRate))
	for end := time.Now().Add(10 * time.Second); e.sources[0].slate.Load().cause != "no data"; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the slate keeps its old cause")
		}
	}
	cancel()
	<-done
}

func TestLastPictureHoldsForASecond(t *testing.T) {
	cam, _ := cameraAndSlides()
	e, out := testEngine(t, Options{}, cam)
	n := media.FrameAt(start, testRate)
	e.tick(n)
	frozen := cam.last
	e.sources[0].Source = stuck{cam, &frozen}
	for i := int64(1); i <= 30; i++ {
		e.tick(n + i)
	}
	for i, m := range out.metas {
		if slate := m.Flags&h264.Slate != 0; slate != (i > 25) {
			t.Errorf("frame %d: flags %b", i, m.Flags)
		}
		if repeated := m.Flags&h264.Repeated != 0; repeated != (i > 1) {
			t.Errorf("frame %d: flags %b", i, m.Flags)
		}
	}
}

// stuck gives one frame for ever.
type stuck struct {
	*fake
	frame *source.Frame
}

func (s stuck) Frame(int64) *source.Frame { return s.frame }

func TestRunSkipsWhatIsPast(t *testing.T) {
	cam, _ := cameraAndSlides()
	held := clock.NewHeld(start)
	e, out := testEngine(t, Options{Clock: held}, cam)
	out.seen = make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- e.Run(ctx) }()
	next := func(d time.Duration) {
		if _, err := held.Next(ctx); err != nil {
			t.Error(err)
		}
		held.Advance(d)
		<-out.seen
	}
	next(0)
	next(100 * time.Millisecond) // two frames' time passes during the second:
	<-out.seen                   // they are made at once
	<-out.seen
	next(460 * time.Millisecond) // eleven frames' time passes
	<-out.seen                   // and the last of them is made at once
	next(0)
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	want := []int64{1, 2, 3, 4, 5, 16, 17}
	n := media.FrameAt(start, testRate)
	for i, w := range want {
		if i >= len(out.metas) || out.metas[i].Frame-n != w {
			t.Fatalf("frames %+v, want %v after the start", out.metas, want)
		}
	}
	if got := e.Stats().Skipped; got != 10 {
		t.Errorf("%d frames skipped", got)
	}
	if len(out.pcm) != 17*1920*2 {
		t.Errorf("sound of %d values: it has a gap", len(out.pcm))
	}
}
