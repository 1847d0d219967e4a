package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const again = 2 * time.Second // until a log that ended is asked for again

// Programs lists the programs of a gokrazy image, as init calls them.
func Programs(root string) (paths []string) {
	for _, dir := range []string{"user", "gokrazy"} {
		found, _ := filepath.Glob(filepath.Join(root, dir, "*"))
		for _, p := range found {
			if name := filepath.Base(p); name != "init" {
				paths = append(paths, "/"+dir+"/"+name)
			}
		}
	}
	return paths
}

// Follow reads what the programs say, by init's socket, until the context ends.
func (r *Ring) Follow(ctx context.Context, socket string, programs []string) error {
	select {
	case <-r.ready: // what is in the ring already is not taken again
	case <-ctx.Done():
		return ctx.Err()
	}
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	var wg sync.WaitGroup
	for _, p := range programs {
		wg.Go(func() { r.followProgram(ctx, client, p) })
	}
	wg.Wait()
	return ctx.Err()
}

// followProgram asks again whenever init hangs up.
func (r *Ring) followProgram(ctx context.Context, client *http.Client, path string) {
	name := filepath.Base(path)
	said := r.said(name)
	for {
		err := r.stream(ctx, client, path, name, said)
		slog.Debug("log of a program ended", "program", path, "err", err)
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
		said = r.said(name)
	}
}

// stream reads one answer: server-sent events, at first those that init has
// kept. Each of the two streams has its own, so each begins with what was said
// already.
func (r *Ring) stream(ctx context.Context, client *http.Client, path, name string, said map[string]bool) error {
	q := url.Values{"path": {path}, "stream": {"both"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://init/log?"+q.Encode(), nil)
	if err != nil {
		return err
	}
	req.Header.Set("Accept", "text/event-stream")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("init answers %s", resp.Status)
	}
	fresh := map[string]bool{}
	return events(resp.Body, func(event, text string) {
		if !fresh[event] && said[clean(text)] {
			return
		}
		fresh[event] = true
		r.Add(Line{Time: time.Unix(0, r.clk.Now()), Program: name, Level: levelOf(text), Text: text})
	})
}

// events reads server-sent events (HTML Living Standard, 9.2), of which init
// sends event and data, a line each.
func events(body io.Reader, f func(event, data string)) error {
	in := bufio.NewReaderSize(body, 64<<10)
	event, data, has := "", "", false
	for {
		line, err := in.ReadString('\n')
		line = strings.TrimRight(line, "\r\n")
		switch {
		case err != nil:
			return err
		case line == "" && has:
			f(event, data)
			event, data, has = "", "", false
		case strings.HasPrefix(line, "event: "):
			event = line[len("event: "):]
		case strings.HasPrefix(line, "data: "):
			data, has = line[len("data: "):], true
		}
	}
}

// levelOf reads the level of slog's text form, and knows Go's last words.
func levelOf(text string) Level {
	switch {
	case strings.Contains(text, "level=ERROR"), strings.HasPrefix(text, "panic:"), strings.HasPrefix(text, "fatal error:"):
		return Error
	case strings.Contains(text, "level=WARN"):
		return Warning
	}
	return Info
}

// Kernel reads what the kernel says, from notices on, until the context ends.
// See Documentation/ABI/testing/dev-kmsg.
func (r *Ring) Kernel(ctx context.Context, path string) error {
	select {
	case <-r.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	f, err := os.OpenFile(path, os.O_RDONLY|nonblock, 0)
	if err != nil {
		slog.Warn("the kernel's log can't be read", "err", err)
		<-ctx.Done()
		return ctx.Err()
	}
	defer f.Close()
	defer context.AfterFunc(ctx, func() { f.Close() })()
	said := r.said("kernel")
	buf := make([]byte, 8<<10) // one read is one record
	for {
		n, err := f.Read(buf)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isLost(err):
			continue // records were overwritten before they were read
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("kernel's log: %w", err)
		case err != nil:
			<-ctx.Done()
			return ctx.Err()
		}
		if l, ok := record(string(buf[:n])); ok && !said[clean(l.Text)] {
			l.Time = time.Unix(0, r.clk.Now())
			r.Add(l)
		}
	}
}

// record takes "6,339,5140900,-;text" apart: priority, number, microseconds
// since boot. Continued lines and dictionaries are left out.
func record(s string) (l Line, ok bool) {
	head, text, ok := strings.Cut(s, ";")
	if !ok {
		return l, false
	}
	text, _, _ = strings.Cut(text, "\n")
	var priority, number, micro int64
	if n, _ := fmt.Sscanf(head, "%d,%d,%d", &priority, &number, &micro); n != 3 || priority>>3 != 0 {
		return l, false // of facility user: what programs wrote to kmsg
	}
	level := Info
	switch severity := priority & 7; {
	case severity > 5:
		return l, false
	case severity <= 3:
		level = Error
	case severity == 4:
		level = Warning
	}
	return Line{Program: "kernel", Level: level, Text: fmt.Sprintf("[%d.%06d] %s", micro/1e6, micro%1e6, text)}, true
}
