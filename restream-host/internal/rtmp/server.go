package rtmp

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
)

// Limits of the server. A publisher sends its first media within a second of
// the handshake; a live stream is never silent for ten.
const (
	DefaultConnections = 256
	handshakeTime      = 5 * time.Second
	handshakeBytes     = 128 << 10
	readTime           = 10 * time.Second
	writeTime          = 5 * time.Second
	// takeover is how long a publisher must have been idle before another one
	// may take its stream.
	takeover = 2 * time.Second
)

// Reasons a publisher is turned away for.
var (
	ErrKey    = errors.New("wrong or missing key: publish to rtmp://HOST/stream/NAME?key=SECRET")
	ErrStream = errors.New("no such stream in this event")
	ErrBusy   = errors.New("somebody else is publishing this stream")
	ErrApp    = errors.New("want the address rtmp://HOST/stream/NAME")
	ErrPlay   = errors.New("this server takes streams by RTMP and gives them by HLS: nothing to play here")
	errPanic  = errors.New("internal error")
)

// Server accepts RTMP publishers. Set the fields, then call Serve.
type Server struct {
	Key string // "" lets everybody publish
	// Open starts a publication of a stream. An error (ErrStream) turns the
	// publisher away.
	Open        func(stream, remote string) (Sink, error)
	Connections int              // at the same time; 0: DefaultConnections
	Now         func() time.Time // nil: time.Now
	Log         *slog.Logger     // nil: slog.Default

	stats  Stats
	mu     sync.Mutex
	holder map[string]*publisher
}

// Stats counts connections. Rejected publishers are also counted by reason.
type Stats struct {
	Connections, Publishers             atomic.Int64 // now
	Accepted, Refused                   atomic.Uint64
	BadKey, BadStream, Busy, BadRequest atomic.Uint64
	Broken, Panics, Bytes               atomic.Uint64
}

// Stats are the server's counters.
func (s *Server) Stats() *Stats { return &s.stats }

type publisher struct {
	conn   net.Conn
	newest atomic.Int64 // when the last unit came, ns
}

// Serve accepts until ctx ends, and returns when every connection is closed.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Log == nil {
		s.Log = slog.Default()
	}
	if s.Connections == 0 {
		s.Connections = DefaultConnections
	}
	s.holder = make(map[string]*publisher)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, net.ErrClosed) {
				return err
			}
			s.Log.Warn("rtmp: accept", "error", err)
			continue
		}
		if s.stats.Connections.Load() >= int64(s.Connections) {
			s.stats.Refused.Add(1)
			conn.Close()
			continue
		}
		s.stats.Connections.Add(1)
		wg.Go(func() {
			defer s.stats.Connections.Add(-1)
			defer context.AfterFunc(ctx, func() { conn.Close() })()
			defer conn.Close()
			s.serve(ctx, conn)
		})
	}
}

// serve runs one connection, logs how it ended and counts why.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	log := s.Log.With("remote", conn.RemoteAddr().String())
	err := s.guarded(conn, log)
	switch {
	case err == nil || ctx.Err() != nil:
	case errors.Is(err, ErrKey):
		s.stats.BadKey.Add(1)
		log.Warn("rtmp: publisher rejected", "error", err)
	case errors.Is(err, ErrStream):
		s.stats.BadStream.Add(1)
		log.Warn("rtmp: publisher rejected", "error", err)
	case errors.Is(err, ErrBusy):
		s.stats.Busy.Add(1)
		log.Warn("rtmp: publisher rejected", "error", err)
	case errors.Is(err, ErrApp), errors.Is(err, ErrPlay):
		s.stats.BadRequest.Add(1)
		log.Warn("rtmp: connection rejected", "error", err)
	default:
		s.stats.Broken.Add(1)
		log.Warn("rtmp: connection closed", "error", err)
	}
}

// guarded turns a panic in the library, which parses what strangers send, into
// the end of that connection.
func (s *Server) guarded(conn net.Conn, log *slog.Logger) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.stats.Panics.Add(1)
			log.Error("rtmp: panic", "panic", p, "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return s.handle(conn, log)
}

func (s *Server) handle(conn net.Conn, log *slog.Logger) error {
	conn.SetDeadline(time.Now().Add(handshakeTime))
	limited := &limitedConn{Conn: conn, left: handshakeBytes}
	sc := &gortmplib.ServerConn{RW: limited}
	if err := sc.Initialize(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	if err := sc.Accept(); err != nil {
		return fmt.Errorf("before publishing: %w", err)
	}
	stream, err := s.authorise(sc)
	if err == nil {
		err = s.publish(stream, limited, sc, log)
	}
	if reject(err) {
		tell(sc, err)
	}
	return err
}

func reject(err error) bool {
	for _, known := range []error{ErrKey, ErrStream, ErrBusy, ErrApp, ErrPlay} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// authorise reads the stream's name and checks the key, in constant time.
func (s *Server) authorise(sc *gortmplib.ServerConn) (string, error) {
	stream, key, err := target(sc.URL)
	switch {
	case !sc.Publish:
		return "", ErrPlay
	case err != nil:
		return "", err
	}
	want, got := sha256.Sum256([]byte(s.Key)), sha256.Sum256([]byte(key))
	if s.Key != "" && subtle.ConstantTimeCompare(want[:], got[:]) != 1 {
		return "", fmt.Errorf("stream %q: %w", stream, ErrKey)
	}
	return stream, nil
}

// target takes /stream/NAME?key=SECRET apart.
func target(u *url.URL) (stream, key string, err error) {
	part := strings.Split(strings.Trim(u.Path, "/"), "/")
	if len(part) != 2 || part[1] == "" || len(part[1]) > 64 {
		return "", "", fmt.Errorf("path %.80q: %w", u.Path, ErrApp)
	}
	return part[1], u.Query().Get("key"), nil
}

func (s *Server) publish(stream string, conn *limitedConn, sc *gortmplib.ServerConn, log *slog.Logger) error {
	remote := conn.RemoteAddr().String()
	p := &publisher{conn: conn.Conn}
	if err := s.claim(stream, p); err != nil {
		return err
	}
	defer s.release(stream, p)
	sink, err := s.Open(stream, remote)
	if err != nil {
		return err
	}
	defer sink.Close()
	s.stats.Accepted.Add(1)
	s.stats.Publishers.Add(1)
	defer s.stats.Publishers.Add(-1)
	log.Info("rtmp: publishing", "stream", stream)
	conn.unlimit()
	start := s.Now()
	err = (&session{conn: sc, sink: &watched{sink, s, p}}).run()
	s.stats.Bytes.Add(sc.BytesReceived())
	log.Info("rtmp: publisher gone", "stream", stream, "after", s.Now().Sub(start).Round(time.Second))
	if err != nil {
		return fmt.Errorf("stream %q: %w", stream, err)
	}
	return nil
}

// claim makes p the publisher of a stream. The one before it must be idle.
func (s *Server) claim(stream string, p *publisher) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.newest.Store(s.Now().UnixNano())
	if old := s.holder[stream]; old != nil {
		idle := s.Now().Sub(time.Unix(0, old.newest.Load()))
		if idle < takeover {
			return fmt.Errorf("stream %q from %s: %w", stream, old.conn.RemoteAddr(), ErrBusy)
		}
		old.conn.Close()
		s.Log.Warn("rtmp: idle publisher replaced", "stream", stream, "remote", old.conn.RemoteAddr().String(), "idle", idle.Round(time.Millisecond))
	}
	s.holder[stream] = p
	return nil
}

func (s *Server) release(stream string, p *publisher) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.holder[stream] == p {
		delete(s.holder, stream)
	}
}

// tell answers a publisher that is turned away, so that its log says why.
func tell(sc *gortmplib.ServerConn, err error) {
	sc.Write(&message.CommandAMF0{
		ChunkStreamID: 5, MessageStreamID: streamID, Name: "onStatus",
		Arguments: []any{nil, amf0.Object{
			{Key: "level", Value: "error"},
			{Key: "code", Value: "NetStream.Publish.BadName"},
			{Key: "description", Value: err.Error()},
		}},
	})
}

// watched notes when units come, for takeover.
type watched struct {
	Sink
	s *Server
	p *publisher
}

func (w *watched) Video(dts uint32, cts int32, key bool, au []byte) {
	w.p.newest.Store(w.s.Now().UnixNano())
	w.Sink.Video(dts, cts, key, au)
}

func (w *watched) Audio(ts uint32, frame []byte) {
	w.p.newest.Store(w.s.Now().UnixNano())
	w.Sink.Audio(ts, frame)
}
