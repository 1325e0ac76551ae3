//go:build e2e

package site

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
)

const chromium = "/usr/bin/chromium"

// open starts a browser. What its console reports, a policy violation too, fails the test.
func open(t *testing.T) context.Context {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("there is no ", chromium)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", false))
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewExecAllocator(ctx, opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx)) // starts it

	var mu sync.Mutex
	var complaints []string
	require.NoError(t, chromedp.Listen(ctx, func(event any) {
		mu.Lock()
		defer mu.Unlock()
		switch e := event.(type) {
		case *runtime.EventExceptionThrown:
			complaints = append(complaints, e.ExceptionDetails.Text+" "+e.ExceptionDetails.URL)
		case *runtime.EventConsoleAPICalled:
			if string(e.Type) == "error" {
				complaints = append(complaints, string(e.Args[0].Value))
			}
		case *log.EventEntryAdded:
			gone := strings.Contains(e.Entry.Text, "net::ERR_") && strings.HasSuffix(e.Entry.URL, "/events")
			if string(e.Entry.Level) == "error" && !gone { // a test may take the server away
				complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	}))
	_, err := chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
		Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted})
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, complaints, "the browser's console")
	})
	return ctx
}

// size makes the window as big as w × h.
func size(w, h int64) chromedp.Action[chromedp.Void] { return chromedp.EmulateViewport(w, h) }

// press presses a key as a keyboard does: what the page prevents is not typed.
// (chromedp.KeyEvent types it all the same.)
func press(key string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		for _, kind := range []input.DispatchKeyEventType{"keyDown", "keyUp"} {
			p := input.DispatchKeyEventParams{Type: kind, Key: key}
			if kind == "keyDown" {
				p.Text = key
			}
			if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, p); err != nil {
				return err
			}
		}
		return nil
	})
}

// script runs a JavaScript expression and returns its value.
func script[T any](t *testing.T, ctx context.Context, js string) T {
	t.Helper()
	out, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	require.NoError(t, err, js)
	return out
}

// becomes waits until a JavaScript expression is true, on whatever page is there by then.
func becomes(t *testing.T, ctx context.Context, js string) {
	t.Helper()
	require.Eventually(t, func() bool {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool](js, chromedp.EvalAwaitPromise))
		return err == nil && is
	}, 10*time.Second, 50*time.Millisecond, js)
}

// halfway is a lab in the middle of being learned.
func halfway(w *world) {
	w.progress["first-container/runs"] = time.Now().Add(-time.Hour)
	w.progress["scale-it/updated"] = time.Now().Add(-20 * time.Minute)
	updated := verdict("updated", labs.Failing, "3 of 214 requests got HTTP 502 while the old pods went away")
	w.say("scale-it", verdict("scaled", labs.Passed, ""), unready(), verdict("named", labs.Blocked, "the Service answers on port 80"), updated)
	w.say("reach-it", verdict("closed", labs.Unknown, "the cluster does not answer at 127.0.0.1:6443"))
}

func TestVerdictFlipsByItself(t *testing.T) {
	w := demo(t)
	w.say("scale-it", verdict("scaled", labs.Failing, "1 of 4 replicas is ready"))
	_, server := serve(t, w.config())
	ctx := open(t)
	require.NoError(t, chromedp.Do(ctx, size(720, 900), chromedp.Navigate(server.URL+"/demo/scale-it/")))
	becomes(t, ctx, `document.querySelector('[data-check=scaled]').dataset.state === 'failing'`)
	script[chromedp.Void](t, ctx, `document.querySelector('#give-it-an-address').scrollIntoView({behavior: 'instant'}); window.same = true`)
	top := `Math.round(document.querySelector('#give-it-an-address').getBoundingClientRect().top)`
	before := script[int](t, ctx, top)

	w.say("scale-it", verdict("scaled", labs.Passed, ""))
	becomes(t, ctx, `document.querySelector('[data-check=scaled]').dataset.state === 'passed'`)
	assert.True(t, script[bool](t, ctx, `window.same`), "without a reload")
	assert.InDelta(t, before, script[int](t, ctx, top), 1, "what is read stays where it is")
	assert.Equal(t, "Passed: hello runs 4 ready replicas.", script[string](t, ctx, `document.querySelector('#news').textContent`))
	assert.Equal(t, "1 of 3", script[string](t, ctx, `document.querySelector('.tasks .count').textContent`))
	assert.Equal(t, "1/3", script[string](t, ctx, `document.querySelector('#labs [data-lab=scale-it] .tick').textContent`))

	w.say("scale-it", verdict("scaled", labs.Failing, "1 of 4 replicas is ready"))
	becomes(t, ctx, `document.querySelector('[data-check=scaled]').dataset.state === 'was'`)
	assert.InDelta(t, before, script[int](t, ctx, top), 1, "what is read stays where it is")
}

func TestCopyIsExact(t *testing.T) {
	w := demo(t)
	_, server := serve(t, w.config())
	ctx := open(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/demo/scale-it/")))
	clipboard := `navigator.clipboard.readText()`
	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.prose .command .copy`))))
	becomes(t, ctx, `document.querySelector('.prose .command .copy').textContent === 'Copied'`)
	assert.Equal(t, "kubectl scale deployment hello --replicas=4\nkubectl get pods --selector app=hello \\\n  --output wide", script[string](t, ctx, clipboard))

	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.file .copy:last-child`))))
	becomes(t, ctx, `document.querySelector('.file .copy:last-child').textContent === 'Copied'`)
	saved := script[string](t, ctx, clipboard)
	assert.True(t, strings.HasPrefix(saved, "cat > service.yaml <<'EOF'\napiVersion: v1\n"), saved)
	assert.True(t, strings.HasSuffix(saved, "      targetPort: 8080\nEOF"), saved)

	require.NoError(t, chromedp.Do(ctx, chromedp.Click(chromedp.CSS(`.here .copy`))))
	becomes(t, ctx, `document.querySelector('.here .copy').textContent === 'Copied'`)
	assert.Equal(t, "kindlab shell scale-it", script[string](t, ctx, clipboard))

	script[chromedp.Void](t, ctx, `scrollTo({top: 0, behavior: 'instant'})`)
	for _, want := range []string{"kubectl scale", "cat > service.yaml", "kubectl apply"} {
		require.NoError(t, chromedp.Do(ctx, press("c")))
		becomes(t, ctx, `navigator.clipboard.readText().then((s) => s.startsWith(`+"`"+want+"`"+`))`)
	}
}

func TestKeyboard(t *testing.T) {
	w := demo(t)
	_, server := serve(t, w.config())
	for _, width := range []int64{1366, 720} {
		ctx := open(t)
		require.NoError(t, chromedp.Do(ctx, size(width, 900), chromedp.Navigate(server.URL+"/demo/first-container/"),
			press("/"), chromedp.KeyEvent("colour")))
		becomes(t, ctx, `[...document.querySelectorAll('#labs .found li')].filter((l) => l.checkVisibility()).length === 1`)
		require.NoError(t, chromedp.Do(ctx, chromedp.KeyEvent("\r")))
		becomes(t, ctx, `location.pathname + location.hash === '/demo/scale-it/#change-its-colour' && document.readyState === 'complete'`)
		require.NoError(t, chromedp.Do(ctx, press("n")))
		becomes(t, ctx, `location.pathname === '/demo/reach-it/' && document.readyState === 'complete'`)
		require.NoError(t, chromedp.Do(ctx, press("p")))
		becomes(t, ctx, `location.pathname === '/demo/scale-it/' && document.readyState === 'complete'`)
		require.NoError(t, chromedp.Do(ctx, press("?")))
		becomes(t, ctx, `document.querySelector('#keys').open`)
	}
}

func TestNothingIsWiderThanTheWindow(t *testing.T) {
	w := demo(t)
	halfway(w)
	_, server := serve(t, w.config())
	ctx := open(t)
	for _, width := range []int64{320, 390, 720, 1024, 1366} {
		for _, path := range []string{"/", "/demo/", "/demo/scale-it/", "/nowhere/"} {
			if path == "/nowhere/" {
				continue // the console would rightly report the 404
			}
			require.NoError(t, chromedp.Do(ctx, size(width, 844), chromedp.Navigate(server.URL+path)))
			assert.LessOrEqual(t, script[int64](t, ctx, `document.documentElement.scrollWidth`), width, "%s at %d", path, width)
		}
	}
}

func TestResetFromThePage(t *testing.T) {
	w := demo(t)
	w.say("reach-it", verdict("closed", labs.Passed, ""))
	w.reset = func(_ context.Context, step func(string)) error {
		step("removing the objects of me-reach-it")
		w.mu.Lock()
		clear(w.progress)
		w.mu.Unlock()
		w.say("reach-it", verdict("closed", labs.Failing, "there is no policy"))
		return nil
	}
	_, server := serve(t, w.config())
	ctx := open(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(server.URL+"/demo/reach-it/")))
	becomes(t, ctx, `document.querySelector('[data-check=closed]').dataset.state === 'passed'`)
	require.NoError(t, chromedp.Do(ctx, chromedp.Evaluate[chromedp.Void](`window.before = true`),
		chromedp.Click(chromedp.CSS(`#reset`)), chromedp.Click(chromedp.CSS(`#reset-dialog .danger`))))
	becomes(t, ctx, `!window.before && document.querySelector('[data-check=closed]')?.dataset.state === 'failing'`)
}

func TestRecoversWhenKindlabIsBack(t *testing.T) {
	w := demo(t)
	ctx := open(t)
	up := func(addr string) (*http.Server, string) {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		s, err := New(w.config())
		require.NoError(t, err)
		t.Cleanup(s.Close)
		server := &http.Server{Handler: s}
		go func() { _ = server.Serve(l) }()
		return server, l.Addr().String()
	}
	server, addr := up("127.0.0.1:0")
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("http://"+addr+"/demo/scale-it/"), chromedp.Evaluate[chromedp.Void](`window.same = true`)))
	becomes(t, ctx, `document.querySelector('#lost').hidden`)
	require.NoError(t, server.Close())
	becomes(t, ctx, `!document.querySelector('#lost').hidden`)

	w.say("scale-it", verdict("scaled", labs.Passed, ""))
	server, _ = up(addr)
	defer server.Close()
	becomes(t, ctx, `document.querySelector('#lost').hidden && document.querySelector('[data-check=scaled]').dataset.state === 'passed'`)
	assert.True(t, script[bool](t, ctx, `window.same`), "without a reload")
}

// TestShots takes pictures of the pages, for eyes: SITE_SHOTS names the folder.
func TestShots(t *testing.T) {
	dir := os.Getenv("SITE_SHOTS")
	if dir == "" {
		t.Skip("SITE_SHOTS is not set")
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	w := demo(t)
	halfway(w)
	_, server := serve(t, w.config())
	ctx := open(t)
	for _, scheme := range []string{"light", "dark"} {
		for _, at := range []struct {
			name string
			w, h int64
		}{{"wide", 1366, 900}, {"half", 720, 900}, {"phone", 390, 844}} {
			for name, path := range map[string]string{"catalogue": "/", "course": "/demo/", "lab": "/demo/scale-it/",
				"task": "/demo/scale-it/#give-it-an-address", "unknown": "/demo/reach-it/#close-the-door"} {
				_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
					Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
				require.NoError(t, err)
				require.NoError(t, chromedp.Do(ctx, size(at.w, at.h), chromedp.Navigate("about:blank"),
					chromedp.Navigate(server.URL+path), chromedp.Sleep(400*time.Millisecond)))
				png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-"+at.name+"-"+scheme+".png"), png, 0o644))
				if name == "lab" {
					png, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
					require.NoError(t, err)
					require.NoError(t, os.WriteFile(filepath.Join(dir, "full-"+at.name+"-"+scheme+".png"), png, 0o644))
				}
			}
		}
	}
}
