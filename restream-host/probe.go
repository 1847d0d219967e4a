package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/openvideobox/videobox/internal/mpegts"
	"github.com/openvideobox/videobox/internal/tee"
	"github.com/openvideobox/videobox/restream-host/internal/hls"
)

type probeCmd struct {
	URL       string  `arg:"" help:"tcp://HOST:PORT, udp://GROUP:PORT, http://…, a playlist (….m3u8) or a file."`
	Seconds   float64 `default:"10" help:"For how long; a file is read to its end."`
	Interface string  `placeholder:"NAME" help:"Where a multicast group is joined."`
	JSON      bool    `help:"Print the whole report as JSON."`
}

var errFaults = errors.New("the stream has faults")

// Run prints the report, and a line for every fault, which make it fail.
func (c *probeCmd) Run(ctx context.Context) error {
	within, cancel := context.WithTimeout(ctx, time.Duration(c.Seconds*float64(time.Second)))
	defer cancel()
	if !strings.Contains(c.URL, "://") {
		within = ctx
	}
	src, err := c.open(within)
	if err != nil {
		return err
	}
	defer src.Close()
	p := mpegts.NewProbe()
	if _, err := io.Copy(p, src); err != nil && within.Err() == nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return c.print(p.Report())
}

func (c *probeCmd) open(ctx context.Context) (io.ReadCloser, error) {
	path, _, _ := strings.Cut(c.URL, "?")
	if strings.HasPrefix(path, "http") && strings.HasSuffix(path, ".m3u8") {
		return hls.Open(ctx, c.URL)
	}
	return tee.Open(ctx, c.URL, tee.OpenOptions{Interface: c.Interface})
}

func (c *probeCmd) print(r mpegts.Report) error {
	faults := r.Faults()
	if c.JSON {
		enc := json.NewEncoder(os.Stdout)
		enc.SetIndent("", "  ")
		if err := enc.Encode(struct {
			mpegts.Report
			Faults []string `json:"faults"`
		}{r, append([]string{}, faults...)}); err != nil {
			return err
		}
	} else {
		fmt.Println(r)
		for _, f := range faults {
			fmt.Println("fault:", f)
		}
	}
	if len(faults) > 0 {
		return errFaults
	}
	return nil
}
