package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"syscall"
	"time"

	"github.com/openvideobox/videobox/appliance/boxd/internal/heal"
	"github.com/openvideobox/videobox/appliance/internal/peers"
	"github.com/openvideobox/videobox/appliance/internal/process"
	"github.com/openvideobox/videobox/appliance/internal/restart"
	"github.com/openvideobox/videobox/appliance/internal/self"
	"github.com/openvideobox/videobox/drivers/usb"
)

// offTime is for how long a device stays off the bus.
const offTime = time.Second

// remedy is the remedies of a real box.
type remedy struct {
	box     self.Self
	capture func() peers.Peer // what it said last
	client  *http.Client
	kill    func(program, box string) (int, error)
	signal  func(pid int, s syscall.Signal) error
	isChild func(pid int, program, command string) bool
	usb     usb.Root
	restart *restart.Box
	sleep   func(context.Context, time.Duration) error
}

func (s *server) newRemedy() *remedy {
	return &remedy{
		box: s.box, capture: func() peers.Peer { return s.peers.Get("capture") },
		client: &http.Client{Timeout: 2 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
		kill:   process.Kill, signal: syscall.Kill, isChild: process.IsCommand,
		usb: usb.System, restart: restart.System(), sleep: sleepFor,
	}
}

func sleepFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (r *remedy) mayRestart() bool { return r.restart.May() == nil }

func (r *remedy) take(ctx context.Context, s heal.Step) error {
	switch s {
	case heal.Worker:
		return r.restartWorker(ctx)
	case heal.Capture:
		return r.killCapture()
	case heal.Reset:
		d, err := r.device()
		if err != nil {
			return err
		}
		return d.Reset()
	case heal.Authorize:
		return r.replug(ctx)
	case heal.Restart:
		return r.restart.Do("boxd", "the stream stood still and nothing else helped")
	}
	return fmt.Errorf("no step %d", s)
}

// restartWorker asks capture to; one that doesn't answer has a worker whose
// number is known from when it did.
func (r *remedy) restartWorker(ctx context.Context) error {
	err := r.askCapture(ctx)
	if err == nil {
		return nil
	}
	pid := int(number(r.capture(), "worker_pid"))
	if pid <= 1 || !r.isChild(pid, "capture", "worker") {
		return fmt.Errorf("%w; and no worker is known", err)
	}
	return r.signal(pid, syscall.SIGKILL)
}

func (r *remedy) askCapture(ctx context.Context) error {
	url := "http://" + r.box.Box.StatusAddr("capture") + "/api/worker/restart"
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, nil)
	if err != nil {
		return err
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("capture answers %s", resp.Status)
	}
	return nil
}

// killCapture leaves it to init to start capture again.
func (r *remedy) killCapture() error {
	for _, name := range []string{self.Auto, r.box.Box.Name} {
		if n, err := r.kill("capture", name); n > 0 || err != nil {
			return err
		}
	}
	return errors.New("no capture runs")
}

var videoNode = regexp.MustCompile(`/dev/video[0-9]+`)

// device is the one that capture reads: that of the node that it named, or,
// when that is gone, the first one with a picture.
func (r *remedy) device() (usb.Device, error) {
	if node := videoNode.FindString(text(r.capture(), "source")); node != "" {
		if d, err := r.usb.Of(node); err == nil {
			return d, nil
		}
	}
	list, err := r.usb.List()
	if err != nil {
		return usb.Device{}, err
	}
	for _, d := range list {
		if len(d.Video()) > 0 {
			return d, nil
		}
	}
	return usb.Device{}, errors.New("there is no USB device with a picture")
}

// replug is the nearest to pulling the device out and putting it back.
func (r *remedy) replug(ctx context.Context) error {
	d, err := r.device()
	if err != nil {
		return err
	}
	off := d.Authorize(false)
	wait := r.sleep(ctx, offTime)
	return errors.Join(off, wait, d.Authorize(true)) // back on, whatever went wrong
}

// tidy puts every device back on the bus; for those that are, it means nothing.
func (r *remedy) tidy() {
	list, err := r.usb.List()
	for _, d := range list {
		err = errors.Join(err, d.Authorize(true))
	}
	if err != nil {
		slog.Debug("USB devices", "error", err)
	}
}
