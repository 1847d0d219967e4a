package event

import (
	"strings"
	"testing"
)

// TestInvalid breaks the small event, one fault a time. Each case replaces old
// by new, or appends new when old is empty; want is all errors, without the
// file's name.
func TestInvalid(t *testing.T) {
	const room2 = "  - name: second\n    camera: tcp://cam.example:8899\n"
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown key", "", "rendition: []\n",
			`8: unknown key "rendition"; did you mean "renditions"?`},
		{"unknown key far from any", "camera: box1", "camera: box1\n    gain: 3",
			`7: unknown key "gain" in rooms[0]; known are name, building, camera, slides, mixer, scene, background, overlay, output, interface, ttl`},
		{"key twice", "", "event: Again\n",
			`8: no valid YAML: mapping key "event" already defined at [1:1]`},
		{"no YAML", "", "  rooms: [\n",
			`8: no valid YAML: value is not allowed in this context`},
		{"empty", small, "# nothing\n", `1: the file is empty; it must hold keys such as event, video, renditions`},
		{"two documents", "", "---\nevent: E\n", `1: no valid YAML: more than one document; remove the line with ---`},
		{"not keys", small, "just words\n", `1: the file must hold keys: event, video, renditions, multicast, port_offset, audio, time, schedule, boxes, rooms, origins, caches, dumpers, secrets, box`},
		{"anchor", "camera: box1", "camera: &cam box1", `6: rooms[0].camera uses an anchor, alias or tag; write the value out`},
		{"no value", "", "schedule:\n", `8: schedule has no value; give one or remove the line`},
		{"list instead of value", "camera: box1", "camera: [box1]", `6: rooms[0].camera must be a single value`},
		{"value instead of list", "", "time: ntp.example\n", `8: time must be a list, each element on a line that starts with -`},
		{"value instead of keys", "", "video: 720p\n", `8: video must hold keys: size, rate, bitrate`},
		{"no name", "event: Small", "event: \"\"", `1: the event has no name; add event: NAME`},
		{"word for number", "", "port_offset: many\n", `8: port_offset: "many" is no whole number`},
		{"negative offset", "", "port_offset: -1\n", `8: port_offset is -1; it must be from 0 to 60000`},
		{"offset past the last port", "", "port_offset: 40000\n",
			`5: port 28899 of output main of room demo is above 65535 with port_offset 40000; lower one of them
5: port 28999 of the buffered output main of room demo is above 65535 with port_offset 40000; lower one of them`},

		{"size", "", "video: {size: 720p}\n", `8: video.size: "720p" is no size; write it as 1280x720`},
		{"odd size", "", "video: {size: 853x480}\n", `8: video.size: a size of 853x480; width and height must be even, such as 852x480`},
		{"large size", "", "video: {size: 7680x4320}\n", `8: video.size: a size of 7680x4320; width and height must be from 64 to 4096`},
		{"fractional rate", "", "video: {rate: 24.5}\n", `8: video.rate: 24.5 frames a second; use 25, 30, 50 or 60 (a slow machine: 10, 15 or 20)`},
		{"rate off the grid", "", "video: {rate: 29}\n", `8: video.rate: 29 frames a second; use 25, 30, 50 or 60 (a slow machine: 10, 15 or 20)`},
		{"bitrate", "", "video: {bitrate: fast}\n", `8: video.bitrate: "fast" is no bitrate; write it as 4000k, 4M or 4000000 (bit/s)`},
		{"low bitrate", "", "video: {bitrate: 4}\n", `8: video.bitrate: a bitrate of 4; it must be from 8k to 200M (bit/s)`},
		{"two faults", "", "video:\n  rate: 29\n  size: 720p\n",
			`9: video.rate: 29 frames a second; use 25, 30, 50 or 60 (a slow machine: 10, 15 or 20)
10: video.size: "720p" is no size; write it as 1280x720`},
		{"rendition without size", "", "renditions:\n  - {name: \"480\", bitrate: 900k}\n", `9: rendition 480 has no size; add size: 854x480`},
		{"rendition without bitrate", "", "renditions:\n  - {name: \"480\", size: 854x480}\n", `9: rendition 480 has no bitrate; add bitrate: 900k`},
		{"rendition main", "", "renditions:\n  - {name: main, size: 854x480, bitrate: 900k}\n",
			`9: rendition main is the event's video; give this one another name, such as its height`},
		{"large rendition", "", "renditions:\n  - {name: big, size: 1920x1080, bitrate: 900k}\n",
			`9: rendition big is larger than the event's video; use at most 1280x720`},
		{"rendition twice", "", "renditions:\n  - {name: a, size: 320x180, bitrate: 90k}\n  - {name: A, size: 320x180, bitrate: 90k}\n",
			`10: rendition A is given twice; remove one`},
		{"interface", "", "multicast: {interface: a-very-long-name}\n", `8: "a-very-long-name" is no interface's name; use one that ip link shows`},
		{"ttl", "", "multicast: {ttl: 256}\n", `8: a ttl of 256; use 0 (this host) to 255`},
		{"audio", "", "audio: {rate: 44100, channels: 1, bitrate: 8k, target_lufs: 0}\n",
			`8: audio.rate is 44100; only 48000 is sent
8: audio.channels is 1; only 2 are sent
8: audio.bitrate is 8k; AAC needs 32k to 512k
8: audio.target_lufs is 0; use -40 to -5, such as -16`},
		{"loudness", "", "audio: {target_lufs: loud}\n", `8: audio.target_lufs: "loud" is no number; write one such as -16`},
		{"time server", "", "time:\n  - ntp.example\n  - ntp.example:0\n  - 192.0.2.300\n",
			`10: time server "ntp.example:0": port 0 is not from 1 to 65535
11: time server "192.0.2.300": "192.0.2.300" is no host; give a name or an IP address, without a port`},
		{"schedule", "", "schedule: talks.xml\n", `8: schedule: "talks.xml" is no URL of the form https://HOST`},
		{"credentials", "", "box: {user: admin, bcrypt: x}\n", `8: box credentials are secrets; move them to the secrets file`},

		{"box without name", "name: box1, ", "", `3: a box without a name; add name: NAME
6: camera of room demo: there is no box "box1"; use a box's name (boxes: has none), tcp://HOST:PORT or udp://GROUP:PORT`},
		{"box name", "name: box1", "name: box 1", `3: box name "box 1"; use up to 40 letters, digits, - and _, with a letter or digit at both ends
6: camera of room demo: there is no box "box1"; use one of box 1, tcp://HOST:PORT or udp://GROUP:PORT`},
		{"box twice", "rooms:", "  - {name: BOX1}\nrooms:", `4: box BOX1 is given twice; remove or rename one`},
		{"bad address", "address: 127.0.0.1", "address: 192.0.2.300", `3: address of box box1: "192.0.2.300" is no host; give a name or an IP address, without a port`},
		{"address with port", "address: 127.0.0.1", "address: \"box.example:80\"", `3: address of box box1: "box.example:80" is no host; give a name or an IP address, without a port`},
		{"address of nobody", "address: 127.0.0.1", "address: 0.0.0.0", `3: address of box box1: 0.0.0.0 is no host's address; give the one that others reach`},
		{"address of a group", "address: 127.0.0.1", "address: 239.1.2.3", `3: address of box box1: 239.1.2.3 is a multicast group; give a host's address`},
		{"MAC", "address: 127.0.0.1", "mac: b8-27", `3: box box1: "b8-27" is no MAC address; write it as "b8:27:eb:00:00:01", in quotes`},
		{"one MAC", "  - {name: box1, address: 127.0.0.1}", "  - {name: box1, mac: \"b8:27:eb:00:00:01\"}\n  - {name: box2, mac: b8-27-EB-00-00-01}",
			`4: boxes box1 and box2 have one MAC address; give each its own`},
		{"box's multicast", "address: 127.0.0.1", "multicast: 239.255.43.2", `3: multicast of box box1: "239.255.43.2" is no group and port; write it as "239.255.42.1:5004"`},
		{"unicast as multicast", "address: 127.0.0.1", "multicast: \"192.0.2.1:5004\"", `3: multicast of box box1: 192.0.2.1 is no multicast address; use 239.0.0.0 to 239.255.255.255, or ff00::/8`},
		{"odd multicast port", "address: 127.0.0.1", "multicast: \"239.255.43.2:5005\"", `3: multicast of box box1: port 5005 is odd; use an even one, such as 5004`},
		{"high multicast port", "address: 127.0.0.1", "multicast: \"239.255.43.2:65536\"", `3: multicast of box box1: "239.255.43.2:65536" is no group and port; write it as "239.255.42.1:5004"`},
		{"two boxes on one host", "rooms:", "  - {name: box2, address: 127.0.0.1, ports: {stream: 8900, http: 81, status: 18890}}\nrooms:",
			`4: port 8899 on 127.0.0.1 is used by the stream of box box1 and by the buffered stream of box box2; give one another port`},
		{"status ports that meet", "rooms:", "  - {name: box2, address: 127.0.0.1, ports: {stream: 18899, http: 81, status: 8886}}\nrooms:",
			`4: port 8890 on 127.0.0.1 is used by the status of capture of box box1 and by the status of tstee of box box2; give one another port`},
		{"port zero", "address: 127.0.0.1", "ports: {stream: 0}", `3: port 0 of the stream of box box1 is not from 1 to 65535`},

		{"missing room", small, "event: E\nrooms: []\n", `2: the event has no room; add one under rooms:`},
		{"room without name", "  - name: demo\n    camera", "  - camera", `5: a room without a name; add name: NAME`},
		{"room twice", "", room2 + "    mixer: {host: m2}\n  - name: second\n    camera: tcp://a:1\n    mixer: {host: m3}\n",
			`11: room second is given twice; remove or rename one`},
		{"room named as a rendition", "", "  - name: a-480\n    camera: tcp://a:1\n    mixer: {host: m2}\nrenditions: [{name: \"480\", size: 854x480, bitrate: 900k}]\n",
			`8: room a-480 ends in rendition 480's name, as the output a-480 does; rename the room`},
		{"box named as a room", "name: demo", "name: box1", `5: box box1 and room box1 have one name, and would be recorded as one; rename one`},
		{"box named as an output", "rooms:", "  - {name: demo-480}\nrenditions: [{name: \"480\", size: 854x480, bitrate: 900k}]\nrooms:",
			`7: box demo-480 has the name of an output of room demo; rename one`},
		{"no sources", "    camera: box1\n", "", `5: room demo has neither camera nor slides; add camera: BOX`},
		{"no such box", "camera: box1", "camera: box7", `6: camera of room demo: there is no box "box7"; use one of box1, tcp://HOST:PORT or udp://GROUP:PORT`},
		{"one box twice", "camera: box1", "camera: box1\n    slides: box1", `7: box box1 is camera of room demo and slides of room demo; a box has one place`},
		{"source URL", "camera: box1", "camera: http://cam/", `6: camera of room demo: "http://cam/" is no source; use a box's name, tcp://HOST:PORT or udp://GROUP:PORT`},
		{"source host", "camera: box1", "camera: tcp://1.2.3:1", `6: camera of room demo: "1.2.3" is no host; give a name or an IP address, without a port`},
		{"source group", "camera: box1", "camera: udp://192.0.2.1:5004", `6: camera of room demo: 192.0.2.1 is no multicast group; use udp://239.255.42.1:5004 or tcp://HOST:PORT`},
		{"loop", "camera: box1", "camera: udp://239.1.1.1:5004\n    output: {multicast: \"239.1.1.1:5004\"}", `6: camera of room demo is the room's own output; use another source`},
		{"no mixer", "    mixer: {host: 127.0.0.1}\n", "", `5: room demo has no mixer; add mixer: {host: HOST}`},
		{"engine", "{host: 127.0.0.1}", "{host: 127.0.0.1, engine: obs}", `7: engine of room demo is "obs"; use native or voctocore`},
		{"mixer host", "{host: 127.0.0.1}", "{host: \"http://m\"}", `7: mixer of room demo: "http://m" is no host; give a name or an IP address, without a port`},
		{"two rooms on one mixer host", "", room2 + "    mixer: {host: 127.0.0.1}\n",
			`10: rooms demo and second have one mixer host, 127.0.0.1; give each its own`},
		{"two rooms with one group", "", "    output: {multicast: \"239.255.42.1:5004\"}\n" + room2 + "    mixer: {host: m2}\n    output: {multicast: \"239.255.42.1:5010\"}\n",
			`12: room demo and room second have one multicast group, 239.255.42.1; give each its own`},
		{"two boxes with one group", "address: 127.0.0.1}", "multicast: \"239.255.42.1:5004\"}\n  - {name: box2, multicast: \"239.255.42.1:5006\"}",
			`4: box box1 and box box2 have one multicast group, 239.255.42.1; give each its own`},
		{"scene mode", "camera: box1", "camera: box1\n    scene: {mode: split}", `7: scene "split" of room demo; use fullscreen, side_by_side_equal, side_by_side_preview, picture_in_picture`},
		{"scene source", "camera: box1", "camera: box1\n    scene: {a: box1}", `7: scene of room demo: a is "box1"; use camera or slides`},
		{"scene without source", "camera: box1", "camera: box1\n    scene: {a: slides}", `7: scene of room demo: a is slides, which the room doesn't have; add slides: BOX`},
		{"scene of one", "camera: box1", "camera: box1\n    scene: {mode: picture_in_picture, a: camera, b: camera}", `7: scene of room demo: a and b are both camera; give each its own`},
		{"output port", "", "    output: {tcp: 9899}\n",
			`8: port 9999 on 127.0.0.1 is used by voctocore's port 9999 of room demo and by the buffered output main of room demo; give one another port`},
		{"output on the control port", "", "    output: {tcp: 7900}\n",
			`8: port 8000 on 127.0.0.1 is used by the control page of room demo and by the buffered output main of room demo; give one another port`},

		{"origin without rtmp", "", "origins: [{name: main, http: \"http://o:8080\"}]\n", `8: origin main has no rtmp; add rtmp: "rtmp://HOST/stream"`},
		{"origin without http", "", "origins: [{name: main, rtmp: \"rtmp://o/stream\"}]\n", `8: origin main has no http; add http: "http://HOST:8080"`},
		{"origin without application", "", "origins: [{name: main, rtmp: \"rtmp://o/\", http: \"http://o\"}]\n",
			`8: rtmp of origin main: "rtmp://o/" must end in the application; write rtmp://o/stream`},
		{"https origin", "", "origins: [{name: main, rtmp: \"rtmp://o/stream\", http: \"https://o\"}]\n", `8: origins[0].http: "https://o" is no URL of the form http://HOST`},
		{"origin's port", "", "origins: [{name: main, rtmp: \"rtmp://o:0/stream\", http: \"http://o/hls\"}]\n",
			`8: origins[0].rtmp: port 0 is not from 1 to 65535
8: http of origin main: "http://o/hls" must end after the host; write http://o`},
		{"origins on one port", "", "origins:\n  - {name: main, rtmp: \"rtmp://o/stream\", http: \"http://o\"}\n  - {name: backup, rtmp: \"rtmp://o:1935/stream\", http: \"http://o:81\"}\n",
			`10: port 1935 on o is used by RTMP of origin main and by RTMP of origin backup; give one another port`},
		{"origins in one folder", "", "origins:\n  - {name: main, rtmp: \"rtmp://o/stream\", http: \"http://o\", dir: rec}\n  - {name: backup, rtmp: \"rtmp://o:1936/stream\", http: \"http://o:81\", dir: rec}\n",
			`10: origin main and origin backup record to one folder, rec on o; give each its own`},
		{"cache", "", "caches: [{name: edge, http: \"http://e\", memory: 1MiB}]\n",
			`8: cache edge has 1048576 bytes of memory; give it at least 64MiB
8: cache edge has no origin to fetch from; add one under origins:`},
		{"memory", "", "caches: [{name: edge, http: \"http://e\", memory: lots}]\n", `8: caches[0].memory: "lots" is no size in bytes; write it as 1GiB, 500MiB, 2GB or 1048576`},
		{"dumper without host", "", "dumpers: [{name: d}]\n", `8: dumper d has no host; add host: HOST`},
		{"dumper without dir", "", "dumpers: [{name: d, host: h}]\n", `8: dumper d has no dir; add dir: FOLDER`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := small + c.new
			if c.old != "" {
				if !strings.Contains(small, c.old) {
					t.Fatalf("the small event has no %q", c.old)
				}
				text = strings.Replace(small, c.old, c.new, 1)
			}
			_, err := Parse("event.yaml", []byte(text))
			got := ""
			if err != nil {
				got = strings.ReplaceAll("\n"+err.Error(), "\nevent.yaml:", "\n")[1:]
			}
			if got != c.want {
				t.Errorf("got\n%s\nwant\n%s\nfor\n%s", got, c.want, text)
			}
		})
	}
}
