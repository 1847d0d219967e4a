module github.com/openvideobox/videobox

go 1.26.0

require (
	github.com/alecthomas/kong v1.17.0
	github.com/asticode/go-astits v1.16.0
	github.com/bluenviron/gortmplib v1.0.0
	github.com/bluenviron/mediacommon/v2 v2.9.3
	github.com/chromedp/chromedp v0.14.2
	github.com/fogleman/gg v1.3.0
	github.com/goccy/go-yaml v1.19.2
	github.com/google/renameio/v2 v2.0.0
	github.com/prometheus/client_golang v1.25.0
	github.com/tphakala/go-aac v0.4.0
	github.com/vladimirvivien/go4vl v0.3.0
	go.uber.org/goleak v1.3.0
	golang.org/x/crypto v0.58.0
	golang.org/x/image v0.47.0
	golang.org/x/net v0.62.0
	golang.org/x/sys v0.49.0
	pgregory.net/rapid v1.2.0
)

require golang.org/x/sync v0.24.0

require honnef.co/go/tools v0.8.2 // indirect

tool honnef.co/go/tools/cmd/staticcheck
