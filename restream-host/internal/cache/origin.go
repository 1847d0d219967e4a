package cache

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

// How long an origin may take. One that hangs (a stopped process still accepts
// connections) costs a viewer at most answerTime, once: afterwards its polls
// fail and the others are asked first.
const (
	answerTime   = 700 * time.Millisecond // until the header
	bodyTime     = 5 * time.Second
	maxSegment   = 64 << 20
	maxList      = 256 << 10
	idleConns    = 32
	headerPeriod = 2 * time.Second // tcp connect and header, at transport level
)

var (
	errNotThere = errors.New("not there")
	errNoInput  = errors.New("no live input")
)

// Origin is one origin to fetch from.
type Origin struct {
	Name string
	URL  string // http://host:port
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:           (&net.Dialer{Timeout: answerTime}).DialContext,
		MaxIdleConnsPerHost:   idleConns,
		IdleConnTimeout:       30 * time.Second,
		ResponseHeaderTimeout: headerPeriod,
		DisableCompression:    true,
	}}
}

// fetch reads a whole body. The header must come within answerTime.
func fetch(ctx context.Context, c *http.Client, url string, limit int64, ranged int) (body []byte, etag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, bodyTime)
	defer cancel()
	slow := time.AfterFunc(answerTime, cancel)
	defer slow.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, "", err
	}
	if ranged > 0 {
		req.Header.Set("Range", "bytes=0-"+strconv.Itoa(ranged-1))
	}
	resp, err := c.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("no answer within %v", answerTime)
		}
		return nil, "", err
	}
	slow.Stop()
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK, http.StatusPartialContent:
	case http.StatusNotFound:
		return nil, "", errNotThere
	case http.StatusServiceUnavailable:
		return nil, "", errNoInput
	default:
		return nil, "", fmt.Errorf("%s answers %s", url, resp.Status)
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, limit+1))
	switch {
	case err != nil:
		return nil, "", err
	case int64(len(body)) > limit:
		return nil, "", fmt.Errorf("%s: more than %d bytes", url, limit)
	case resp.ContentLength > 0 && resp.ContentLength != int64(len(body)):
		return nil, "", io.ErrUnexpectedEOF
	}
	return body, resp.Header.Get("ETag"), nil
}

// fetchList reads a media playlist.
func fetchList(ctx context.Context, c *http.Client, url string) (*hls.Playlist, int, error) {
	body, _, err := fetch(ctx, c, url, maxList, 0)
	if err != nil {
		return nil, 0, err
	}
	p, err := hls.Parse(body)
	return p, len(body), err
}
