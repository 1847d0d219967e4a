// Package link is what capture's parent and its worker say to each other over
// two pipes: pictures, sounds and the state of the input one way, the worker's
// task and calls for a keyframe the other way.
//
// Each message is a length (u32, of what follows it), a kind (u8) and a body,
// big-endian; the first one in either direction is a hello with a magic and a
// version, so that a parent never takes anything from another program.
//
//	+--------+------+------ ... ------+
//	| length | kind | body            |
//	|  u32   |  u8  | length-1 bytes  |
//	+--------+------+------ ... ------+
//
// Nothing here is trusted: every length is checked before it is used, and the
// decoder is fuzzed.
package link

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/openvideobox/videobox/internal/h264"
	"github.com/openvideobox/videobox/internal/program"
)

// MaxMessage bounds a message. The largest is an IDR: at 1080p and 20 Mbit/s
// none comes near 2 MB.
const MaxMessage = 8 << 20

// Version changes when a message changes its meaning.
const Version = 1

const magic = "VBCAPLNK"

// Kind of a message.
type Kind uint8

// The kinds, and their bodies.
const (
	Hello   Kind = 1 + iota // magic, version u16
	Task                    // JSON, to the worker: what to capture and how
	NeedKey                 // empty, to the worker: make the next picture an IDR
	Picture                 // frame i64, capture i64, flags u8, key u8, access unit
	Sound                   // index i64, raw AAC frame
	Health                  // JSON: state of the input
	Bitrate                 // u32, to the worker: bit/s of the video from now on
)

func (k Kind) String() string {
	names := [...]string{"hello", "task", "need key", "picture", "sound", "health", "bitrate"}
	if k >= 1 && int(k) <= len(names) {
		return names[k-1]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Sizes of the fixed parts of bodies.
const (
	helloSize   = len(magic) + 2
	pictureSize = 8 + 8 + 1 + 1
	soundSize   = 8
)

// Errors that a caller may branch on; all mean that the other end can't be
// followed any more.
var (
	ErrNotLink = errors.New("link: the other end is not capture")
	ErrVersion = errors.New("link: the other end speaks another version")
	ErrMessage = errors.New("link: malformed message")
)

// Writer sends messages, each in one write. It is safe for concurrent use.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewWriter says hello on w.
func NewWriter(w io.Writer) (*Writer, error) {
	l := &Writer{w: w}
	return l, l.send(Hello, func(b []byte) []byte {
		return binary.BigEndian.AppendUint16(append(b, magic...), Version)
	})
}

// Picture sends p.
func (l *Writer) Picture(p program.Picture) error {
	return l.send(Picture, func(b []byte) []byte { return appendPicture(b, p) })
}

// Sound sends s.
func (l *Writer) Sound(s program.Sound) error {
	return l.send(Sound, func(b []byte) []byte {
		b = binary.BigEndian.AppendUint64(b, uint64(s.Index))
		return append(b, s.Data...)
	})
}

// NeedKey asks for an IDR.
func (l *Writer) NeedKey() error {
	return l.send(NeedKey, func(b []byte) []byte { return b })
}

// Bitrate asks for another bitrate of the video, in bit/s.
func (l *Writer) Bitrate(bps int) error {
	return l.send(Bitrate, func(b []byte) []byte { return binary.BigEndian.AppendUint32(b, uint32(bps)) })
}

// JSON sends v as the body of a Task or Health.
func (l *Writer) JSON(k Kind, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return l.send(k, func(b []byte) []byte { return append(b, body...) })
}

func appendPicture(b []byte, p program.Picture) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(p.Frame))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Capture))
	key := byte(0)
	if p.Key {
		key = 1
	}
	b = append(b, byte(p.Flags), key)
	return append(b, p.Data...)
}

func (l *Writer) send(k Kind, body func([]byte) []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = body(append(l.buf[:0], 0, 0, 0, 0, byte(k)))
	n := len(l.buf) - 4
	if n > MaxMessage {
		return fmt.Errorf("%w: %s of %d bytes, at most %d", ErrMessage, k, n, MaxMessage)
	}
	binary.BigEndian.PutUint32(l.buf, uint32(n))
	if _, err := l.w.Write(l.buf); err != nil {
		return fmt.Errorf("link: send %s: %w", k, err)
	}
	return nil
}

// Message is one of them. Its body is valid until the next Read.
type Message struct {
	Kind Kind
	Body []byte
}

// Reader receives messages.
type Reader struct {
	r     io.Reader
	head  [5]byte
	buf   []byte
	hello bool
}

// NewReader reads from r, which should be buffered when messages are small.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Read returns the next message after the hello, which it checks. At the end of
// the pipe the error is io.EOF, within a message io.ErrUnexpectedEOF.
func (l *Reader) Read() (Message, error) {
	m, err := l.read()
	if err != nil || l.hello {
		return m, err
	}
	if err := checkHello(m); err != nil {
		return Message{}, err
	}
	l.hello = true
	return l.read()
}

func (l *Reader) read() (Message, error) {
	if _, err := io.ReadFull(l.r, l.head[:]); err != nil {
		return Message{}, err
	}
	n := int64(binary.BigEndian.Uint32(l.head[:])) - 1
	limit := int64(MaxMessage)
	if !l.hello {
		limit = int64(helloSize)
	}
	if n < 0 || n > limit {
		if !l.hello {
			return Message{}, ErrNotLink
		}
		return Message{}, fmt.Errorf("%w: %d bytes, at most %d", ErrMessage, n, limit)
	}
	if int64(cap(l.buf)) < n {
		l.buf = make([]byte, n+n/4)
	}
	body := l.buf[:n]
	if _, err := io.ReadFull(l.r, body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, err
	}
	return Message{Kind(l.head[4]), body}, nil
}

func checkHello(m Message) error {
	if m.Kind != Hello || len(m.Body) != helloSize || string(m.Body[:len(magic)]) != magic {
		return ErrNotLink
	}
	if v := binary.BigEndian.Uint16(m.Body[len(magic):]); v != Version {
		return fmt.Errorf("%w: %d, this is %d", ErrVersion, v, Version)
	}
	return nil
}

// Picture reads the body of a picture. Its data is part of the body.
func (m Message) Picture() (program.Picture, error) {
	if err := m.check(Picture, pictureSize); err != nil {
		return program.Picture{}, err
	}
	b := m.Body
	if b[17] > 1 {
		return program.Picture{}, fmt.Errorf("%w: key flag is %d", ErrMessage, b[17])
	}
	p := program.Picture{
		Frame:   int64(binary.BigEndian.Uint64(b)),
		Capture: int64(binary.BigEndian.Uint64(b[8:])),
		Flags:   h264.Flags(b[16]),
		Key:     b[17] == 1,
		Data:    b[pictureSize:],
	}
	if p.Frame < 0 || p.Capture < 0 {
		return program.Picture{}, fmt.Errorf("%w: frame %d captured at %d", ErrMessage, p.Frame, p.Capture)
	}
	return p, nil
}

// Sound reads the body of a sound. Its data is part of the body.
func (m Message) Sound() (program.Sound, error) {
	if err := m.check(Sound, soundSize); err != nil {
		return program.Sound{}, err
	}
	s := program.Sound{Index: int64(binary.BigEndian.Uint64(m.Body)), Data: m.Body[soundSize:]}
	if s.Index < 0 {
		return program.Sound{}, fmt.Errorf("%w: sound %d", ErrMessage, s.Index)
	}
	return s, nil
}

// Bitrate reads the body of a bitrate, in bit/s.
func (m Message) Bitrate() (int, error) {
	if m.Kind != Bitrate || len(m.Body) != 4 {
		return 0, fmt.Errorf("%w: %s of %d bytes where a bitrate of 4 should be", ErrMessage, m.Kind, len(m.Body))
	}
	return int(binary.BigEndian.Uint32(m.Body)), nil
}

// JSON reads the body of a Task or Health into v.
func (m Message) JSON(v any) error {
	if err := json.Unmarshal(m.Body, v); err != nil {
		return fmt.Errorf("%w: %s: %v", ErrMessage, m.Kind, err)
	}
	return nil
}

// check wants kind k and at least a byte after the fixed part.
func (m Message) check(k Kind, fixed int) error {
	if m.Kind != k || len(m.Body) <= fixed {
		return fmt.Errorf("%w: %s of %d bytes where a %s of more than %d should be", ErrMessage, m.Kind, len(m.Body), k, fixed)
	}
	return nil
}
