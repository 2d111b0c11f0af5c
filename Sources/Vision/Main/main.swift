import Vision

VisionCommand.main()
