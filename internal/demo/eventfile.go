package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/template"
)

// eventFile is the event that `make run` plays: two boxes, one room, two
// origins, a cache and a dumper, all on this machine. Ports are the defaults;
// port_offset shifts them.
var eventFile = template.Must(template.New("").Parse(`# Written by make run: the whole event, read by every program.
event: Demo on one machine
{{- if .VM}}
video: {size: 640x360, rate: 10, bitrate: 1500k}  # two machines without KVM need the rest of the CPU
{{- else}}
video: {size: 1280x720, rate: 25, bitrate: 4000k}
renditions:
  - {name: "480", size: 854x480, bitrate: 900k}
{{- end}}
multicast: {interface: lo, ttl: 0}         # stays on this machine
port_offset: {{.PortOffset}}
audio: {rate: 48000, channels: 2, bitrate: 160k, target_lufs: -16}

boxes:
  - name: box1
    mac: "02:00:00:00:00:01"
    address: 127.0.0.1
    ports: {stream: 8899, http: 8101, status: 8890}
  - name: box2
    mac: "02:00:00:00:00:02"
    address: 127.0.0.1
{{- if not .VM}}
    multicast: "239.255.43.2:5004"
{{- end}}
    ports: {stream: 18899, http: 8102, status: 18890}

rooms:
  - name: demo
    building: here
    camera: box1
    slides: box2
    mixer: {host: 127.0.0.1, engine: native}
    scene: {mode: side_by_side_preview, a: slides, b: camera}
    output: {multicast: "239.255.42.1:5004", tcp: 28899}

origins:
  - {name: main, rtmp: "rtmp://127.0.0.1:1935/stream", http: "http://127.0.0.1:8081", dir: {{.Dir}}/origin-main}
  - {name: backup, rtmp: "rtmp://127.0.0.1:1936/stream", http: "http://127.0.0.1:8082", dir: {{.Dir}}/origin-backup}
caches:
  - {name: edge1, http: "http://127.0.0.1:8080", memory: 256MiB}
dumpers:
  - {name: dump1, host: 127.0.0.1, dir: {{.Dir}}/dump, keep_free: 1GiB}

secrets: event.secrets.yaml
`))

const secretsFile = `# Written by make run, new each time.
publish_key: "%s"
`

// writeEvent writes event.yaml and its secrets into dir and returns the path
// of the former and its text.
func writeEvent(dir string, portOffset int, machines bool) (path, text string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", "", err
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return "", "", err
	}
	var b bytes.Buffer
	err = eventFile.Execute(&b, struct {
		PortOffset int
		Dir        string
		VM         bool // the boxes are virtual machines, which multicast does not leave
	}{portOffset, abs, machines})
	if err != nil {
		return "", "", err
	}
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		return "", "", err
	}
	path = filepath.Join(abs, "event.yaml")
	err = errors.Join(
		os.WriteFile(path, b.Bytes(), 0o644),
		os.WriteFile(filepath.Join(abs, "event.secrets.yaml"), fmt.Appendf(nil, secretsFile, hex.EncodeToString(key)), 0o600),
	)
	return path, b.String(), err
}
