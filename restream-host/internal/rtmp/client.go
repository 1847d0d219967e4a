package rtmp

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"path"
	"time"

	"github.com/bluenviron/gortmplib"
	"github.com/bluenviron/gortmplib/pkg/amf0"
	"github.com/bluenviron/gortmplib/pkg/message"
	"github.com/bluenviron/mediacommon/v2/pkg/codecs/mpeg4audio"

	"github.com/openvideobox/videobox/internal/h264"
)

// sendBuffer is the kernel's: small, so that an origin that stalls is noticed
// after half a second of stream and not after ten.
const sendBuffer = 256 << 10

// Client publishes one stream to a server.
type Client struct {
	conn    *gortmplib.Client
	net     net.Conn
	timeout time.Duration
	stopped chan struct{}
	err     error // why the server's side ended; set before stopped is closed
	nals    [][]byte
}

// Dial connects and publishes. rawURL is rtmp://host[:port]/app/NAME?key=SECRET.
// timeout bounds the handshake and later each write. ctx bounds Dial only.
func Dial(ctx context.Context, rawURL string, timeout time.Duration) (*Client, error) {
	u, err := clientURL(rawURL)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c := &Client{timeout: timeout, stopped: make(chan struct{})}
	c.conn = &gortmplib.Client{URL: u, Publish: true, DialContext: dial}
	if err := c.conn.Initialize(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %v", timeout)
		}
		return nil, fmt.Errorf("rtmp: %s: %w", u.Host, err)
	}
	c.net = c.conn.NetConn()
	go c.drain()
	return c, nil
}

func dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if tcp, ok := conn.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer)
	}
	return conn, err
}

// clientURL moves the stream's name and key into the fragment, where gortmplib
// wants the stream key.
func clientURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, err
	}
	dir, name := path.Split(u.Path)
	if u.Scheme != "rtmp" || u.Host == "" || name == "" || len(dir) < 2 {
		return nil, fmt.Errorf("rtmp: want rtmp://HOST/stream/NAME, not %q", u.Redacted())
	}
	key := name
	if u.RawQuery != "" {
		key += "?" + u.RawQuery
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: path.Clean(dir), Fragment: key}, nil
}

// drain reads acknowledgements and notices the end.
func (c *Client) drain() {
	defer close(c.stopped)
	for {
		msg, err := c.conn.Read()
		if err != nil {
			c.err = err
			return
		}
		if err := refusal(msg); err != nil {
			c.err = err
			return
		}
	}
}

// refusal is the error that the server told, if any.
func refusal(msg message.Message) error {
	cmd, ok := msg.(*message.CommandAMF0)
	if !ok || len(cmd.Arguments) < 2 {
		return nil
	}
	info, ok := cmd.Arguments[1].(amf0.Object)
	if !ok {
		return nil
	}
	if level, _ := info.GetString("level"); level != "error" {
		return nil
	}
	text, _ := info.GetString("description")
	return fmt.Errorf("refused: %s", text)
}

// Start sends what a decoder needs: H.264 parameter sets, and AAC-LC 48 kHz
// stereo.
func (c *Client) Start(sps, pps []byte) error {
	config, err := avcConfig(sps, pps)
	if err != nil {
		return err
	}
	for _, m := range []message.Message{
		&message.DataAMF0{ChunkStreamID: 4, MessageStreamID: streamID, Payload: []any{"@setDataFrame", "onMetaData", amf0.Object{
			{Key: "videocodecid", Value: float64(message.CodecH264)},
			{Key: "audiocodecid", Value: float64(message.CodecMPEG4Audio)},
		}}},
		&message.Video{ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: streamID, Codec: message.CodecH264,
			IsKeyFrame: true, Type: message.VideoTypeConfig, AVCConfig: config},
		&message.Audio{ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: streamID, Codec: message.CodecMPEG4Audio,
			Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true, AACType: message.AudioAACTypeConfig,
			AACConfig: &mpeg4audio.AudioSpecificConfig{Type: mpeg4audio.ObjectTypeAACLC, SampleRate: 48000, ChannelConfig: 2}},
	} {
		if err := c.write(m); err != nil {
			return err
		}
	}
	return nil
}

// Video sends an Annex B access unit with all its NAL units; times in ms.
func (c *Client) Video(dts int64, cts int32, key bool, au []byte) error {
	c.nals = h264.Split(c.nals[:0], au)
	size := 0
	for _, n := range c.nals {
		size += 4 + len(n)
	}
	avcc := make([]byte, 0, size)
	for _, n := range c.nals {
		avcc = append(avcc, byte(len(n)>>24), byte(len(n)>>16), byte(len(n)>>8), byte(len(n)))
		avcc = append(avcc, n...)
	}
	return c.write(&message.Video{
		ChunkStreamID: message.VideoChunkStreamID, MessageStreamID: streamID, Codec: message.CodecH264, IsKeyFrame: key,
		Type: message.VideoTypeAU, DTS: ms(dts), PTSDelta: ms(int64(cts)), AU: avcc,
	})
}

// Audio sends a raw AAC frame.
func (c *Client) Audio(ts int64, frame []byte) error {
	return c.write(&message.Audio{
		ChunkStreamID: message.AudioChunkStreamID, MessageStreamID: streamID, Codec: message.CodecMPEG4Audio,
		Rate: message.AudioRate44100, Depth: message.AudioDepth16, IsStereo: true, AACType: message.AudioAACTypeAU,
		DTS: ms(ts), AU: frame,
	})
}

func ms(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

func (c *Client) write(m message.Message) error {
	c.net.SetWriteDeadline(time.Now().Add(c.timeout))
	if err := c.conn.Write(m); err != nil {
		select {
		case <-c.stopped:
			err = c.err
		default:
		}
		return err
	}
	return nil
}

// Done is closed when the server has ended the connection; Err says why.
func (c *Client) Done() <-chan struct{} { return c.stopped }

// Err is valid after Done.
func (c *Client) Err() error { return c.err }

// Sent is the number of bytes written.
func (c *Client) Sent() uint64 { return c.conn.BytesSent() }

// Abort ends the connection at once, from any goroutine.
func (c *Client) Abort() { c.net.Close() }

// Close ends the connection and waits for its goroutine.
func (c *Client) Close() {
	c.conn.Close()
	<-c.stopped
}
