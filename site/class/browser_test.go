//go:build e2e

package class

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kindlab/kindlab/labs"
	"github.com/kindlab/kindlab/site/progress"
)

const chromium = "/usr/bin/chromium"

// open starts a browser. What its console reports, a policy violation too, fails the test.
func open(t *testing.T) context.Context {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Skip("there is no ", chromium)
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(chromium), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	ctx, cancel := context.WithTimeout(t.Context(), 120*time.Second)
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
		case *log.EventEntryAdded:
			gone := strings.HasSuffix(e.Entry.URL, "/events") // a test shuts somebody out
			if string(e.Entry.Level) == "error" && !gone {
				complaints = append(complaints, e.Entry.Text+" "+e.Entry.URL)
			}
		}
	}))
	_, err := chromedp.Call(ctx, log.Enable, cdp.Empty{})
	require.NoError(t, err)
	t.Cleanup(func() {
		mu.Lock()
		defer mu.Unlock()
		assert.Empty(t, complaints, "the browser's console")
	})
	return ctx
}

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

// press presses a button, wherever smooth scrolling has it now.
func press(css string) chromedp.Action[chromedp.Void] {
	return chromedp.Evaluate[chromedp.Void]("document.querySelector('" + css + "').click()")
}

// serve serves a hub on a free port, and gives links into it.
func serve(t *testing.T, w *world, h *Hub) (link func(id string, instructor bool) string) {
	server := httptest.NewServer(h)
	t.Cleanup(func() { h.Close(); server.Close() })
	return func(id string, instructor bool) string {
		token, err := Invite(t.Context(), w.store, labs.Person{ID: id}, instructor)
		require.NoError(t, err)
		return server.URL + "/in/" + token
	}
}

func TestBoardInABrowser(t *testing.T) {
	w := crowd(t, 30)
	h := w.hub()
	link := serve(t, w, h)
	board := open(t)
	require.NoError(t, chromedp.Do(board, chromedp.EmulateViewport(1366, 768), chromedp.Navigate(link("grace", true))))
	becomes(t, board, `location.pathname === '/board/' && document.querySelectorAll('.causes li').length >= 3`)
	assert.Equal(t, 30, script[int](t, board, `document.querySelectorAll('.room tbody tr').length`))
	assert.Contains(t, script[string](t, board, `document.querySelector('.causes').innerText`), "Service hello selects …, and no pod has that label")
	script[chromedp.Void](t, board, `window.same = true`)

	ada := open(t)
	require.NoError(t, chromedp.Do(ada, chromedp.EmulateViewport(720, 900), chromedp.Navigate(link("p000", false)),
		chromedp.Evaluate[chromedp.Void](`location.assign('/demo/scale-it/')`)))
	becomes(t, board, `document.querySelector('.room tr[data-id=p000] .status').textContent === 'page open'`)
	becomes(t, board, `document.querySelector('.roll tr[data-id=p000] .open').textContent === '✓ 1'`)
	becomes(t, board, `document.querySelector('.roll tr[data-id=p000] .ready').textContent.includes('ready node v1.36')`)

	w.say("p000", "scale-it", verdict("answers", labs.Passed, ""), verdict("named", labs.Failing, "the port has no name"))
	becomes(t, board, `document.querySelector('.room tr[data-id=p000] .in-way').textContent === 'the port has no name'`)
	w.say("p000", "scale-it", verdict("answers", labs.Passed, ""), verdict("named", labs.Passed, ""), verdict("updated", labs.Failing, "nobody asked"))
	becomes(t, board, `document.querySelectorAll('.room tr[data-id=p000] td.cell')[2].textContent === '✓passed'`)

	require.NoError(t, chromedp.Do(board, chromedp.SendKeys(chromedp.CSS(`#message`), "Break at <b>ten</b>"), press(`.tell form:nth-of-type(1) button`)))
	becomes(t, ada, `document.querySelector('#notices:not([hidden]) .text')?.textContent === 'Break at <b>ten</b>'`)
	becomes(t, board, `document.querySelector('.toldnow q')?.textContent === 'Break at <b>ten</b>'`)
	require.NoError(t, chromedp.Do(board, press(`.tell form:nth-of-type(2) button`)))
	becomes(t, ada, `/^(10:00|9:5\d) left$/.test(document.querySelector('#notices .countdown strong')?.textContent)`)
	require.NoError(t, chromedp.Do(ada, press(`#notices .seen`)))
	becomes(t, ada, `document.querySelector('#notices .message').hidden`)
	script[chromedp.Void](t, board, `document.querySelector('#task').value = 'scale-it/run-more-copies'; document.querySelector('#to').value = 'p000'`)
	require.NoError(t, chromedp.Do(board, press(`.tell form:nth-of-type(3) button`)))
	becomes(t, ada, `document.querySelector('.handed[data-task=run-more-copies] code')?.textContent.includes('--replicas=secret-of-p000')`)
	assert.True(t, script[bool](t, board, `window.same`), "without a reload")

	// Somebody is added while the instructor types.
	require.NoError(t, chromedp.Do(board, chromedp.SendKeys(chromedp.CSS(`#message`), "half a mess")))
	require.NoError(t, w.store.ChangeMember(t.Context(), "late", func(m *progress.Member) error { m.Name = "Late Larry"; return nil }))
	becomes(t, board, `document.querySelector('.room tr[data-id=late] .status')?.textContent === 'not in yet'`)
	assert.Equal(t, "half a mess", script[string](t, board, `document.querySelector('#message').value`))
	w.say("p000", "scale-it", verdict("updated", labs.Failing, "3 requests were lost"))
	becomes(t, board, `document.querySelector('.room tr[data-id=p000] .in-way').textContent === '3 requests were lost'`)
	assert.True(t, script[bool](t, board, `window.same`), "without a reload")

	require.NoError(t, Revoke(t.Context(), w.store, "p000"))
	becomes(t, ada, `location.pathname === '/in'`)
	becomes(t, board, `document.querySelector('.room tr[data-id=p000] .status').textContent === 'no page open'`)
}

func TestTheBoardRecovers(t *testing.T) {
	w := crowd(t, 5)
	up := func(h *Hub, addr string) (*http.Server, string) {
		l, err := net.Listen("tcp", addr)
		require.NoError(t, err)
		server := &http.Server{Handler: h}
		go func() { _ = server.Serve(l) }()
		return server, l.Addr().String()
	}
	h := w.hub()
	server, addr := up(h, "127.0.0.1:0")
	token, err := Invite(t.Context(), w.store, labs.Person{ID: "grace"}, true)
	require.NoError(t, err)
	ctx := open(t)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("http://"+addr+"/in/"+token)))
	becomes(t, ctx, `document.querySelectorAll('.causes li').length >= 1`)
	script[chromedp.Void](t, ctx, `window.same = true`)
	require.NoError(t, server.Close())
	h.Close()
	becomes(t, ctx, `!document.querySelector('#lost').hidden`)

	w.say("p000", "scale-it", verdict("answers", labs.Failing, "said while the hub was away"))
	server, _ = up(w.hub(), addr)
	defer server.Close()
	becomes(t, ctx, `document.querySelector('#lost').hidden && document.querySelector('.room tr[data-id=p000] .in-way').textContent === 'said while the hub was away'`)
	assert.True(t, script[bool](t, ctx, `window.same`), "without a reload, and in the same session")
}

func TestNothingIsWiderThanTheWindow(t *testing.T) {
	w := crowd(t, 30)
	h := w.hub()
	link := serve(t, w, h)
	ctx := open(t)
	for _, width := range []int64{320, 390, 720, 1366} {
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(width, 844), chromedp.Navigate(link("grace", true))))
		becomes(t, ctx, `document.querySelectorAll('.causes li').length >= 3`)
		for _, path := range []string{"/board/", "/board/attendees/p007/", "/board/attendees/p006/pages/demo/scale-it/"} {
			script[chromedp.Void](t, ctx, `location.assign('`+path+`')`)
			becomes(t, ctx, `location.pathname === '`+path+`' && document.readyState === 'complete'`)
			wide := script[string](t, ctx, `[...document.querySelectorAll('main *')].filter((e) => e.getBoundingClientRect().right > innerWidth && !e.closest('.wide')).map((e) => e.outerHTML.slice(0, 90)).join('; ')`)
			assert.LessOrEqual(t, script[int64](t, ctx, `document.documentElement.scrollWidth`), width, "%s at %d: %s", path, width, wide)
		}
	}
}

// TestShots takes pictures, for eyes: SITE_SHOTS names the folder.
func TestShots(t *testing.T) {
	dir := os.Getenv("SITE_SHOTS")
	if dir == "" {
		t.Skip("SITE_SHOTS is not set")
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	w := crowd(t, 30)
	h := w.hub()
	link := serve(t, w, h)
	ctx := open(t)
	require.NoError(t, h.tell(t.Context(), func(o *told) {
		o.Message, o.Until, o.For = "Lab 2 ends at eleven. Whoever is done helps a neighbour.", time.Now().Add(9*time.Minute), "Break"
		o.Handed = []handed{{"scale-it", "run-more-copies", ""}}
	}))
	shoot := func(name, path string, w, h int64, scheme string, full bool) {
		_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		require.NoError(t, err)
		require.NoError(t, chromedp.Do(ctx, chromedp.EmulateViewport(w, h), chromedp.Navigate("about:blank"), chromedp.Navigate(path), chromedp.Sleep(900*time.Millisecond)))
		var png []byte
		if full {
			png, err = chromedp.Run(ctx, chromedp.FullScreenshot(100))
		} else {
			png, err = chromedp.Run(ctx, chromedp.CaptureScreenshot())
		}
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+"-"+scheme+".png"), png, 0o644))
	}
	in := link("grace", true)
	base := in[:strings.Index(in, "/in/")]
	shoot("enter", base+"/in?code=abcd-efgh", 720, 700, "light", false)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(in)))
	for _, scheme := range []string{"light", "dark"} {
		shoot("board-projector", base+"/board/", 1366, 900, scheme, false)
		shoot("board-phone", base+"/board/", 390, 844, scheme, false)
	}
	shoot("board-full", base+"/board/", 1366, 900, "light", true)
	shoot("board-phone-full", base+"/board/", 390, 844, "light", true)
	shoot("board-phone-tasks", base+"/board/#tasks", 390, 844, "light", false)
	shoot("board-big", base+"/board/", 1920, 1080, "dark", false)
	shoot("attendee", base+"/board/attendees/p000/", 1024, 900, "light", true)
	shoot("looked", base+"/board/attendees/p000/pages/demo/scale-it/", 1366, 900, "light", false)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate(link("p000", false))))
	for _, scheme := range []string{"light", "dark"} {
		shoot("lab", base+"/demo/scale-it/", 1366, 900, scheme, false)
		shoot("lab-half", base+"/demo/scale-it/", 720, 900, scheme, false)
		shoot("lab-phone", base+"/demo/scale-it/", 390, 844, scheme, false)
	}
	shoot("lab-full", base+"/demo/scale-it/", 1366, 900, "light", true)
	shoot("course", base+"/demo/", 1024, 900, "light", false)

	out, err := Handout{Class: "autumn", Course: "From a container to a mesh", Hub: base, Code: "abcd-efgh", Links: []Link{
		{Person: labs.Person{ID: "ada", Name: "Ada Lovelace"}, URL: in}, {Person: labs.Person{ID: "p1", Name: names[6]}, URL: in},
		{Person: labs.Person{ID: "p2", Name: names[7]}, URL: in}, {Person: labs.Person{ID: "grace", Name: "Grace"}, Instructor: true, URL: in}}}.HTML()
	require.NoError(t, err)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(out) }))
	defer server.Close()
	shoot("handout", server.URL, 900, 900, "light", true)
}
