package network

import (
	"os"
	"path/filepath"
	"testing"
)

const routes = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	0002000A	00000000	0001	0	0	0	00FFFFFF	0	0	0
eth0	00000000	0100007F	0003	0	0	1	00000000	0	0	0
`

func TestGatewayAnswers(t *testing.T) {
	for _, tt := range []struct {
		name, route, arp string
		want             bool
	}{
		{"known", routes, "127.0.0.1 0x1 0x2 52:55:0a:00:02:02 * eth0\n", true},
		{"asked for", routes, "127.0.0.1 0x1 0x0 00:00:00:00:00:00 * eth0\n", false},
		{"another", routes, "127.0.0.11 0x1 0x2 52:55:0a:00:02:02 * eth0\n", false},
		{"none", "", "127.0.0.1 0x1 0x2 52:55:0a:00:02:02 * eth0\n", false},
		{"no default route", routes[:len(routes)-50], "", false},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"route": tt.route, "arp": "IP address\n" + tt.arp} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := GatewayAnswers(dir); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
	if GatewayAnswers(t.TempDir()) {
		t.Error("a host without a network has a gateway")
	}
}
