"""A network camera that speaks RTSP: GStreamer's own server, in Debian's Python, which has it.

    /usr/bin/python3 rtsp_server.py PORT CODER [USER PASSWORD]

serves rtsp://127.0.0.1:PORT/lens, says "serving" and goes on until it is killed.
"""

from __future__ import annotations

import sys
from typing import Any

CODERS = {
    # As cameras send it: a whole picture now and then, and between two what has changed.
    "vp8": "vp8enc deadline=1 keyframe-max-dist=25 ! rtpvp8pay pt=96",
    "h264": "x264enc tune=zerolatency speed-preset=ultrafast key-int-max=25 ! rtph264pay pt=96",
    "jpeg": "jpegenc ! rtpjpegpay pt=26",
}
# Dots that are new in each picture, as a sensor's noise is.
PIPELINE = (
    "( videotestsrc is-live=true pattern=snow "
    "! video/x-raw,format=I420,width=320,height=240,framerate=25/1 "
    "! videobalance contrast=0.2 brightness=0.1 ! {coder} name=pay0 )"
)


def main(port: str, coder: str, user: str = "", password: str = "") -> None:
    import gi

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtspServer

    Gst.init(None)
    server = GstRtspServer.RTSPServer(service=port, address="127.0.0.1")
    factory = GstRtspServer.RTSPMediaFactory(launch=PIPELINE.format(coder=CODERS[coder]))
    factory.set_shared(True)
    if user:
        _lock(GstRtspServer, server, factory, user, password)
    server.get_mount_points().add_factory("/lens", factory)
    server.attach(None)
    print("serving", flush=True)
    GLib.MainLoop().run()


def _lock(library: Any, server: Any, factory: Any, user: str, password: str) -> None:
    """By digest, as cameras have it."""
    import gi

    gi.require_version("GstRtsp", "1.0")
    from gi.repository import GstRtsp

    token = library.RTSPToken()
    token.set_string(library.RTSP_TOKEN_MEDIA_FACTORY_ROLE, user)
    auth = library.RTSPAuth()
    auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    auth.add_digest(user, password, token)
    server.set_auth(auth)
    may = library.RTSPPermissions()
    for what in (library.RTSP_PERM_MEDIA_FACTORY_ACCESS, library.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT):
        may.add_permission_for_role(user, what, True)
    factory.set_permissions(may)


if __name__ == "__main__":
    main(*sys.argv[1:])
